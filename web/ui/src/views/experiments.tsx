import type { JSX } from "preact";
import type { View } from "../lib/view";
export function Experiments({ view }: { view: View }): JSX.Element { return <p>{view.period.dates}</p>; }
