import type { JSX } from "preact";
import type { View } from "../lib/view";
export function Explore({ view }: { view: View }): JSX.Element { return <p>{view.period.dates}</p>; }
