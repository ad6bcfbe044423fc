// What stands in the cells of several tables in the same way.

import type { JSX } from "preact";
import { change } from "../lib/change";
import { NBSP, UNKNOWN, count, duration, percent, plain } from "../lib/format";
import type { MarketplaceFigures, ServiceRow } from "../lib/types";
import { linkTo } from "../lib/url";
import { ChangeText } from "./figure";
import { InlineBar } from "./spark";

const WARN_FROM = 1;
const BAD_FROM = 3;

/** Letters from which a name is cut after its second line. */
const LONG_FROM = 60;

/** An error rate: a chip from 1 % on, grey where there is none. */
export function ErrorRate({ rate }: { rate: number | null }): JSX.Element {
  const text = plain(percent(rate, 2));
  if (rate === null || rate === 0) return <span class="dim">{text}</span>;
  if (rate >= BAD_FROM) return <span class="chip bad">{text}</span>;
  if (rate >= WARN_FROM) return <span class="chip warn">{text}</span>;
  return <>{text}</>;
}

/** The share of the searches for a term that found nothing; grey where each found something. */
export function NothingFound({ row }: { row: MarketplaceFigures["topSearches"][number] }): JSX.Element {
  const { searches, withoutResult } = row;
  const text = searches === 0 ? UNKNOWN : plain(percent((100 * withoutResult) / searches, 1));
  return <span class={withoutResult === 0 ? "dim" : ""}>{text}</span>;
}

export function Latency({ ms }: { ms: number | null }): JSX.Element {
  return <>{plain(duration(ms))}</>;
}

export function CountBar({ value, most }: { value: number; most: number }): JSX.Element {
  return (
    <span class="with-bar">
      {count(value)}
      <InlineBar value={value} most={most} />
    </span>
  );
}

/** A class and a title for a name of two lines at most. */
export const cut = (name: string, others: string): { class: string; title?: string } =>
  name.length > LONG_FROM ? { class: `${others} long`, title: name } : { class: others };

/** A name that leads somewhere. */
export function NameLink({ name, href }: { name: string; href: string }): JSX.Element {
  return (
    <a {...cut(name, "row-link")} href={href}>
      {name === "" ? <span class="dim">empty</span> : name}
    </a>
  );
}

export function ServiceName({ row, hasId = false }: { row: ServiceRow; hasId?: boolean }): JSX.Element {
  const { p95 } = row.latency;
  return (
    <>
      <NameLink name={row.serviceName} href={linkTo(["services", row.serviceId])} />
      {hasId && row.serviceId !== row.serviceName && <span class="id">{row.serviceId}</span>}
      <span class="second">
        p95{NBSP}
        {row.accuracy.exact ? "" : `≈${NBSP}`}
        {plain(duration(p95))}
      </span>
    </>
  );
}

export function P95Change({ row }: { row: ServiceRow }): JSX.Element {
  const before = row.previous?.p95;
  return <ChangeText change={change(row.latency.p95, before, "latency", "down")} />;
}

/** Fewer points, each the sum of several: a sparkline is 88 px wide. */
export function thinned(values: readonly number[], most: number): number[] {
  const every = Math.ceil(values.length / most);
  if (every <= 1) return [...values];
  const found: number[] = [];
  // From the end, so that the last point is whole and the first is cut.
  for (let end = values.length; end - every >= 0; end -= every) {
    found.unshift(values.slice(end - every, end).reduce((sum, value) => sum + value, 0));
  }
  return found;
}
