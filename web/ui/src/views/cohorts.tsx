// The cohort table: of those who first came in a week, how many were there N days later.

import type { JSX } from "preact";
import { useAnswer, url } from "../lib/api";
import { NBSP, count, percent, plain } from "../lib/format";
import { cohortSql } from "../lib/queries";
import { queryLink } from "../lib/sqltext";
import { addDays, isoDate, monthDay } from "../lib/time";
import type { CohortRow, UsersAnswer } from "../lib/types";
import { REFRESH_MS, type View } from "../lib/view";
import { CsvLink } from "../ui/chart";
import { Answered, Panel } from "../ui/panel";

const STEPS = 7;
const STEP_POINTS = 5;

interface Scale {
  from: number;
  to: number;
}

/** Seven steps from the data: the lowest rounded down, the highest up, steps of whole points. */
function scaleOf(rows: readonly CohortRow[]): Scale {
  const known = rows.flatMap(({ days }) => days.flatMap((day) => (day.percent === null ? [] : [day.percent])));
  if (known.length === 0) return { from: 0, to: STEPS * STEP_POINTS };
  const from = Math.floor(Math.min(...known) / STEP_POINTS) * STEP_POINTS;
  const to = Math.ceil(Math.max(...known) / STEP_POINTS) * STEP_POINTS;
  return { from, to: Math.max(to, from + STEP_POINTS) };
}

function heatOf(value: number, { from, to }: Scale): number {
  const step = Math.floor((STEPS * (value - from)) / (to - from)) + 1;
  return Math.max(1, Math.min(STEPS, step));
}

export function CohortPanel({ view, firstDay }: { view: View; firstDay: string }): JSX.Element {
  const lastDay = isoDate(Math.min(view.period.endMs - 1, view.nowMs), view.zone);
  const params = { ...view.params, startDate: firstDay, endDate: lastDay };
  const asked = useAnswer<UsersAnswer>(url("/metrics/users", { ...params, cohorts: "week" }), REFRESH_MS);
  const rows = (asked.answer?.data.cohorts ?? []).filter(({ users }) => users > 0);
  const scale = scaleOf(rows);
  const tools = (
    <>
      <HeatKey scale={scale} />
      <CsvLink href={url("/export/users", { ...params, cohorts: "week", format: "csv" })} name="Cohorts" />
    </>
  );
  return (
    <Panel span={12} title="Retention by weekly cohort" unit="percent of people active on that day" tools={tools}>
      <Answered
        asked={asked}
        what="cohorts"
        height={320}
        empty={() => (rows.length === 0 ? "Nobody came for the first time in these weeks." : null)}
      >
        {() => (
          <div class="cohorts" tabIndex={0} role="region" aria-label="Cohorts, rows">
            <Table rows={rows} scale={scale} />
          </div>
        )}
      </Answered>
    </Panel>
  );
}

function HeatKey({ scale }: { scale: Scale }): JSX.Element {
  return (
    <span class="heat-key" aria-hidden="true">
      {scale.from}
      {NBSP}%
      <span class="ramp">
        {Array.from({ length: STEPS }, (_, at) => (
          <i key={at} class={`heat${at + 1}`} />
        ))}
      </span>
      {scale.to}
      {NBSP}%
      <span class="filling-key" />
      still filling
    </span>
  );
}

function Table({ rows, scale }: { rows: readonly CohortRow[]; scale: Scale }): JSX.Element {
  const days = rows[0]?.days.map(({ day }) => day) ?? [];
  return (
    <table class="cohort-table" aria-label="Retention by weekly cohort">
      <thead>
        <tr>
          <th scope="col">Week of</th>
          <th scope="col" class="num">
            People
          </th>
          {days.map((day) => (
            <th key={day} scope="col">
              Day {day}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.week}>
            <th scope="row">{monthDay(Date.parse(`${row.week}T12:00:00Z`), "UTC")}</th>
            <td class="num soft">{count(row.users)}</td>
            {row.days.map((cell) => (
              <td key={cell.day}>
                <Cell row={row} cell={cell} scale={scale} />
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Cell({ row, cell, scale }: {
  row: CohortRow;
  cell: CohortRow["days"][number];
  scale: Scale;
}): JSX.Element {
  if (cell.percent === null) {
    return (
      <span class="cell none" title="Nobody has reached that day">
        ·
      </span>
    );
  }
  const filling = cell.complete ? "" : " filling";
  const words = cell.complete ? "" : ", not all have reached that day";
  const href = queryLink(cohortSql(row.week, addDays(row.week, 6)));
  return (
    <a
      class={`cell heat${heatOf(cell.percent, scale)}${filling}`}
      href={href}
      title={`${plain(percent(cell.percent, 1))} on day ${cell.day}${words}`}
    >
      {plain(percent(cell.percent, 1)).replace(`${NBSP}%`, "")}
    </a>
  );
}
