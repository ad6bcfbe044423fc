// Users: how many, do they come back, do they stay?

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { isAwaited, useAnswer, url, type Asked } from "../lib/api";
import { change } from "../lib/change";
import { NBSP, UNKNOWN, bound, count, counted, duration, percent, plain, short } from "../lib/format";
import { usePrevious } from "../lib/previous";
import { PER } from "../lib/period";
import { beside, known, timeAxis } from "../lib/series";
import { addDays, isoDate } from "../lib/time";
import type { DistinctAccuracy, UsersAnswer, UsersFigures, UsersStep } from "../lib/types";
import type { View } from "../lib/view";
import { ChartFrame, type Line } from "../ui/chart";
import { previousOf, rangeSetter } from "../ui/charting";
import { ChangeLine } from "../ui/figure";
import { Answered } from "../ui/panel";
import { Segments } from "../ui/segments";
import { Band, Stat } from "../ui/stat";
import { CohortPanel } from "./cohorts";

const BOUND_SAID_FROM = 0.5;
const COHORT_DAYS = 56;

export function Users({ view }: { view: View }): JSX.Element {
  const asked = useAnswer<UsersAnswer>(
    url("/metrics/users", {
      ...view.params,
      granularity: view.granularity,
      compare: view.isCompared ? "previous" : null,
    }),
    view.refreshMs,
  );
  return (
    <div class="grid">
      <Figures view={view} asked={asked} />
      <ActiveUsers view={view} asked={asked} />
      <RetentionCurve view={view} asked={asked} />
      <CohortPanel view={view} firstDay={firstCohortDay(view)} />
    </div>
  );
}

/** Cohorts are of whole weeks, eight of them at least: a range of four would show a corner. */
function firstCohortDay({ period, zone, nowMs }: View): string {
  const last = isoDate(Math.min(period.endMs - 1, nowMs), zone);
  const days = Math.max(COHORT_DAYS, Math.ceil(period.days));
  const first = addDays(last, 1 - days);
  const weekday = (new Date(`${first}T00:00:00Z`).getUTCDay() + 6) % 7;
  return addDays(first, -weekday);
}

const ratioOf = ({ dau, mau }: { dau: number; mau: number }): number | null =>
  mau === 0 ? null : (100 * dau) / mau;

const boundWords = ({ exact, relativeError }: DistinctAccuracy): string | null =>
  !exact && 100 * relativeError >= BOUND_SAID_FROM ? bound(100 * relativeError) : null;

function boundTitle({ exact, relativeError, level }: DistinctAccuracy): string {
  if (exact) return "Counted exactly";
  return `Estimated from a sketch, error ${bound(100 * relativeError)} (${Math.round(100 * level)}${NBSP}% level).`;
}

function Figures({ view, asked }: { view: View; asked: Asked<UsersAnswer> }): JSX.Element {
  const now = asked.answer?.data;
  const before = view.isCompared ? asked.answer?.previous : undefined;
  const line = (
    pick: (figures: UsersFigures) => number | null,
    measure: "amount" | "rate" | "latency",
    good: "up" | "down" | "neutral",
  ): JSX.Element | undefined =>
    now && before && <ChangeLine change={change(pick(now), pick(before), measure, good)} than="previous" />;
  // Today has only begun: its people are not fewer than those of a whole day.
  const isRunning = view.period.isRunning;
  return (
    <Band label="Users" isLoading={isAwaited(asked)}>
      <Stat
        label={isRunning ? "Active today" : "Daily active"}
        figure={counted(now?.dau)}
        isAbout={now?.accuracy.dau.exact === false}
        bound={now === undefined ? null : boundWords(now.accuracy.dau)}
        title={now === undefined ? "" : boundTitle(now.accuracy.dau)}
        line={isRunning ? now && averageWords(now) : line(({ dau }) => dau, "amount", "up")}
      />
      <Stat
        label="Monthly active"
        figure={counted(now?.mau)}
        isAbout={now?.accuracy.mau.exact === false}
        bound={now === undefined ? null : boundWords(now.accuracy.mau)}
        title={now === undefined ? "" : boundTitle(now.accuracy.mau)}
        line={line(({ mau }) => mau, "amount", "up")}
      />
      <Stat
        label="Daily ÷ monthly"
        figure={percent(now === undefined ? null : stickiness(now), 1)}
        title="Average daily users ÷ monthly users"
        line={line(stickiness, "rate", "up")}
      />
      <Stat
        label="New users"
        figure={counted(now?.newUsers)}
        isAbout={now?.accuracy.newUsers.exact === false}
        line={line(({ newUsers }) => newUsers, "amount", "up")}
      />
      <Stat
        label="Session length"
        figure={duration(now?.avgSessionDuration)}
        line={line(({ avgSessionDuration }) => avgSessionDuration, "amount", "neutral")}
      />
      <Stat
        label="Churn"
        figure={percent(now?.churnRate, 1)}
        isAbout={now?.churnRate != null && !now.accuracy.churnRate.exact}
        title="Of the users of the period before, those who did not come in this one"
        line={line(({ churnRate }) => churnRate, "rate", "down")}
      />
    </Band>
  );
}

const averageWords = ({ avgDau }: UsersFigures): string =>
  avgDau === null ? "" : `${count(Math.round(avgDau))} a day on average`;

const stickiness = ({ avgDau, mau }: UsersFigures): number | null =>
  avgDau === null || mau === 0 ? null : (100 * avgDau) / mau;

type Shown = "daily" | "monthly" | "ratio";

const PICKS: Record<Shown, { label: string; pick: (row: UsersStep) => number | null }> = {
  daily: { label: "Daily active", pick: (row) => row.dau },
  monthly: { label: "Monthly active", pick: (row) => row.mau },
  ratio: { label: "Daily ÷ monthly", pick: ratioOf },
};

function ActiveUsers({ view, asked }: { view: View; asked: Asked<UsersAnswer> }): JSX.Element {
  const [shown, setShown] = useState<Shown>("daily");
  const previous = usePrevious<UsersAnswer, UsersStep>(view, "/metrics/users", ({ data }) => data.series);
  const { label, pick } = PICKS[shown];
  return (
    <section class="panel span-7" aria-label="Active users">
      <Answered asked={asked} what="users" title="Active users" height={290}>
        {({ data }) => {
          const rows = data.series ?? [];
          const axis = timeAxis(rows.map(({ start }) => start), view, view.granularity);
          const before = previous.rows === undefined ? null : beside(axis, previous.rows, pick);
          const about = data.accuracy.dau.exact ? "" : `≈${NBSP}`;
          const format = (value: number): string =>
            shown === "ratio" ? plain(percent(value, 1)) : about + count(value);
          const line: Line = {
            label, color: "--s1", hasArea: true, values: known(axis, rows, pick),
            ...(shown === "daily" && data.avgDau !== null
              ? { value: `${about}${count(Math.round(data.avgDau))} a day` }
              : {}),
          };
          return (
            <ChartFrame
              title="Active users"
              name="Active users"
              unit={PER[view.granularity]}
              choice={
                <Segments<Shown>
                  label="Figure"
                  isSmall
                  value={shown}
                  choices={[
                    { value: "daily", label: "Daily" },
                    { value: "monthly", label: "Monthly" },
                    { value: "ratio", label: "Ratio" },
                  ]}
                  onChoose={setShown}
                />
              }
              csv={url("/export/users", { ...view.params, granularity: view.granularity, format: "csv" })}
              {...axis}
              lines={before === null ? [line] : [line, previousOf(view, before)]}
              hasLegend
              yTick={(value) => (shown === "ratio" ? plain(percent(value, 0)) : short(value))}
              format={format}
              scaled={shown === "ratio" ? "others" : "counts"}
              footAt={(at) => changeAt(line, before, at)}
              onRange={rangeSetter(axis, view.zone)}
            />
          );
        }}
      </Answered>
    </section>
  );
}

function changeAt(line: Line, before: readonly (number | null)[] | null, at: number): string | null {
  const [now, then] = [line.values[at], before?.[at]];
  if (now == null || then == null) return null;
  const { arrow, text } = change(now, then, "amount", "neutral");
  return `Change ${arrow} ${text}`;
}

const CURVE_TICKS = [1, 7, 14, 21, 30];

function RetentionCurve({ view, asked }: { view: View; asked: Asked<UsersAnswer> }): JSX.Element {
  const label = view.period.dates;
  return (
    <section class="panel span-5" aria-label="Retention">
      <Answered
        asked={asked}
        what="retention"
        title="Retention"
        height={290}
        empty={({ data }) =>
          data.curve.every((point) => point.percent === null)
            ? "Nobody who was new in this period has a first day that is over."
            : null
        }
      >
        {({ data, previous }) => {
          const lines: Line[] = [
            { label, color: "--s1", hasArea: true, values: data.curve.map((point) => point.percent) },
          ];
          if (view.isCompared && previous !== undefined) {
            lines.push(previousOf(view, previous.curve.map((point) => point.percent)));
          }
          return (
            <ChartFrame
              title="Retention"
              name="Retention"
              unit="active on day N after the first day"
              csv={url("/export/users", { ...view.params, format: "csv" })}
              xs={data.curve.map(({ day }) => day)}
              xTicks={() => CURVE_TICKS.map((day) => ({ x: day, label: `Day ${day}` }))}
              nameAt={(at) => `Day ${data.curve[at]?.day ?? UNKNOWN}`}
              xName="Day"
              lines={lines}
              hasLegend
              yTick={(value) => plain(percent(value, 0))}
              format={(value) => plain(percent(value, 1))}
              footAt={(at) => `of ${count(data.curve[at]?.users)} people who got so far`}
            />
          );
        }}
      </Answered>
    </section>
  );
}
