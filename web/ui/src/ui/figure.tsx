// Figures and their changes, as they stand in bands, over charts and in cells.

import type { JSX } from "preact";
import type { Change } from "../lib/change";
import { widthEms, type Figure } from "../lib/format";

const ROLE_CLASS = { main: "main-part", unit: "unit-part", minor: "minor-part" } as const;

const ABOUT_EMS = 0.7;

export function FigureText({ figure, isAbout = false }: { figure: Figure; isAbout?: boolean }): JSX.Element {
  const ems = widthEms(figure) + (isAbout ? ABOUT_EMS : 0);
  return (
    <span class="figure-text" style={{ "--ems": ems.toFixed(2) }}>
      {isAbout && <span class="about">≈</span>}
      {figure.map(({ text, role }, at) => (
        <>
          {at > 0 && role !== "minor" && <span class="unseen">{"\u00a0"}</span>}
          <span key={at} class={ROLE_CLASS[role]}>
            {text}
          </span>
        </>
      ))}
    </span>
  );
}

export function ChangeText({ change }: { change: Change }): JSX.Element {
  const tone = change.tone === "plain" ? "" : ` ${change.tone}`;
  return (
    <span class={`change${tone}`}>
      {change.arrow !== "" && <span aria-hidden="true">{change.arrow} </span>}
      <span aria-hidden="true">{change.text}</span>
      <span class="unseen">{change.spoken}</span>
    </span>
  );
}

/** "↑ 6.2 % vs yesterday"; nothing where both are unknown, and "new" stands alone. */
export function ChangeLine({ change, than }: { change: Change; than: string }): JSX.Element | null {
  if (change.isUnknown) return null;
  return (
    <>
      <ChangeText change={change} />
      {!change.isNew && <span class="than"> vs {than}</span>}
    </>
  );
}
