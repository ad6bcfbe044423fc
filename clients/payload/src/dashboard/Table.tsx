"use client";
// Rows, the largest first: as a table, or as bars that are one.

import type { ReactElement } from "react";
import type { Shown } from "./format.js";
import type { Rows } from "./rows.js";

type TableProps = Pick<Rows, "heads" | "rows"> & { title: string };

export function Table({ heads, rows, title }: TableProps): ReactElement {
  return (
    <div className="tallymark-scroll" tabIndex={0} role="group" aria-label={title}>
      <table>
        <caption className="tallymark-unseen">{title}</caption>
        <thead>
          <tr>
            {heads.map((head) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ key, name, cells }) => (
            <tr key={key}>
              <th scope="row">{name}</th>
              {cells.map((cell, at) => (
                <td key={heads[at + 1] ?? at}>{cell}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface BarsProps {
  rows: Rows["rows"];
  title: string;
  shown: Shown;
}

export function RankedBars({ rows, title, shown }: BarsProps): ReactElement {
  const most = Math.max(...rows.map(({ value }) => value ?? 0));
  return (
    <ol className="tallymark-steps" aria-label={title}>
      {rows.map(({ key, name, value }) => (
        <li key={key}>
          <div className="tallymark-step">
            <span>{name}</span>
            <span className="tallymark-number">{shown.text(value)}</span>
          </div>
          <div className="tallymark-track" aria-hidden="true">
            <div style={{ width: `${most > 0 ? (100 * Math.max(0, value ?? 0)) / most : 0}%` }} />
          </div>
        </li>
      ))}
    </ol>
  );
}
