export { Dashboard } from "@tallymark/payload/dashboard";
