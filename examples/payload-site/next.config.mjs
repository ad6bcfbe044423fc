import { withPayload } from "@payloadcms/next/withPayload";

/** @type {import("next").NextConfig} */
const config = {
  turbopack: { root: import.meta.dirname },
  async redirects() {
    return [{ source: "/", destination: "/analytics", permanent: false }];
  },
};

export default withPayload(config, { devBundleServerPackages: false });
