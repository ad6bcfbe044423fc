"use client";
// From searches over views to conversions: three bars, and what goes on from each to the next.

import type { MarketplaceAnswer } from "@tallymark/client";
import type { ReactElement } from "react";
import { shownAs } from "./format.js";

interface FunnelProps {
  figures: MarketplaceAnswer["data"];
  title: string;
}

export function Funnel({ figures, title }: FunnelProps): ReactElement {
  const { searches, views, conversions } = figures;
  const steps = [
    { name: "Searches", value: searches, before: null },
    { name: "Views", value: views, before: { value: searches, per: "per search" } },
    { name: "Conversions", value: conversions, before: { value: views, per: "of views" } },
  ];
  const most = Math.max(searches, views, conversions);
  if (most === 0) return <p className="tallymark-state">Nothing in this period.</p>;
  const count = shownAs("count", "");
  return (
    <ol className="tallymark-steps" aria-label={title}>
      {steps.map(({ name, value, before }) => (
        <li key={name}>
          <div className="tallymark-step">
            <span>{name}</span>
            {before !== null && before.value > 0 && (
              <span className="tallymark-unit">
                {ratio(value, before.value, before.per)} {before.per}
              </span>
            )}
            <span className="tallymark-number">{count.text(value)}</span>
          </div>
          <div className="tallymark-track" aria-hidden="true">
            <div style={{ width: `${(100 * value) / most}%` }} />
          </div>
        </li>
      ))}
    </ol>
  );
}

/** Views of a search are several, so they are no share of it. */
const ratio = (value: number, whole: number, per: string): string =>
  per === "per search" ? (value / whole).toFixed(2) : shownAs("percent", "").text((100 * value) / whole);
