import type { JSX } from "preact";
import type { View } from "../lib/view";
export function Users({ view }: { view: View }): JSX.Element { return <p>{view.period.dates}</p>; }
