// The forms of the editor: what a widget shows, and what a dashboard is called.

import type { JSX } from "preact";
import { METRICS, familyOf, metricOf } from "../lib/metrics";
import { PRESETS } from "../lib/period";
import type { DashboardBody, DashboardType, Widget, WidgetKind } from "../lib/types";
import { Icon } from "../ui/icons";
import { TYPES } from "./dashboards";

const KINDS: Record<WidgetKind, string> = {
  counter: "Figure",
  lineChart: "Line chart",
  barChart: "Bar chart",
  table: "Table",
  funnel: "Funnel",
};

const FAMILIES: readonly (readonly [string, string])[] = [
  ["services", "Services"],
  ["revenue", "Revenue"],
  ["marketplace", "Marketplace"],
  ["experiments", "Experiments"],
  ["users", "Users"],
  ["counters", "Live"],
  ["sql", "SQL"],
];

/** Filters that each family's route takes; what is counted fits all that are given. */
const FILTERS: Record<string, readonly (readonly [string, string])[]> = {
  services: [["serviceId", "Service id"], ["category", "Category"]],
  revenue: [["serviceId", "Service id"], ["creatorId", "Creator id"], ["currency", "Currency"]],
  marketplace: [["serviceId", "Service id"], ["category", "Category"]],
  experiments: [["experimentId", "Experiment id"]],
};

interface WidgetProps {
  widget: Widget;
  onChange: (widget: Widget) => void;
  onClose: () => void;
  onRemove: () => void;
}

export function WidgetForm({ widget, onChange, onClose, onRemove }: WidgetProps): JSX.Element {
  const { kinds } = metricOf(widget.metric);
  const family = familyOf(widget.metric);
  const choose = (metric: string): void => {
    const next = metricOf(metric);
    const kind = next.kinds.includes(widget.kind) ? widget.kind : (next.kinds[0] ?? widget.kind);
    // A title that only named the old figure goes with it.
    const isOwn = widget.title !== "" && widget.title !== metricOf(widget.metric).label;
    const filters = familyOf(metric) === family ? widget.filters : {};
    onChange({ ...widget, metric, kind, filters, title: isOwn ? widget.title : next.label });
  };
  return (
    <form class="form" onSubmit={(event) => event.preventDefault()}>
      <div class="form-head">
        <h2>Widget</h2>
        <button type="button" class="icon-button" aria-label="Close the form" title="Close" onClick={onClose}>
          <Icon name="close" size={14} />
        </button>
      </div>
      <label>
        <span class="label">Title</span>
        <input
          class="field"
          maxLength={200}
          value={widget.title}
          onInput={(event) => onChange({ ...widget, title: event.currentTarget.value })}
        />
      </label>
      <label>
        <span class="label">Figure</span>
        <select class="field select" value={widget.metric} onChange={(event) => choose(event.currentTarget.value)}>
          {FAMILIES.map(([name, label]) => (
            <optgroup key={name} label={label}>
              {METRICS.filter((metric) => familyOf(metric.name) === name).map((metric) => (
                <option key={metric.name} value={metric.name}>
                  {metric.label}
                </option>
              ))}
            </optgroup>
          ))}
        </select>
      </label>
      <label>
        <span class="label">Shown as</span>
        <select
          class="field select"
          value={widget.kind}
          onChange={(event) => onChange({ ...widget, kind: event.currentTarget.value as WidgetKind })}
        >
          {[...new Set([...kinds, widget.kind])].map((kind) => (
            <option key={kind} value={kind}>
              {KINDS[kind]}
            </option>
          ))}
        </select>
      </label>
      {family !== "counters" && family !== "sql" && (
        <label>
          <span class="label">Period</span>
          <select
            class="field select"
            value={widget.range ?? ""}
            onChange={(event) => onChange({ ...widget, range: event.currentTarget.value || null })}
          >
            <option value="">{family === "experiments" ? "Since it began" : "The one of the page"}</option>
            {PRESETS.map(({ word, label }) => (
              <option key={word} value={word}>
                {label}
              </option>
            ))}
          </select>
        </label>
      )}
      {family === "sql" ? <SqlField widget={widget} onChange={onChange} /> : <Filters widget={widget} onChange={onChange} />}
      <button type="button" class="button danger" onClick={onRemove}>
        <Icon name="trash" size={14} />
        Remove widget
      </button>
    </form>
  );
}

type FieldProps = Pick<WidgetProps, "widget" | "onChange">;

/** Those of the family and, so that they can be changed or emptied, whatever else the widget has. */
function Filters({ widget, onChange }: FieldProps): JSX.Element {
  const filters = FILTERS[familyOf(widget.metric)] ?? [];
  const others = Object.keys(widget.filters).filter((name) => !filters.some(([known]) => known === name));
  return (
    <>
      {[...filters, ...others.map((name) => [name, name] as const)].map(([name, label]) => (
        <label key={name}>
          <span class="label">{label}</span>
          <input
            class="field"
            placeholder="all"
            value={widget.filters[name] ?? ""}
            onChange={(event) => {
              const { [name]: _, ...rest } = widget.filters;
              const value = event.currentTarget.value.trim();
              onChange({ ...widget, filters: value === "" ? rest : { ...rest, [name]: value } });
            }}
          />
        </label>
      ))}
      {filters.length > 1 && <span class="dim">With several filled in, only what fits all of them is counted.</span>}
    </>
  );
}

function SqlField({ widget, onChange }: FieldProps): JSX.Element {
  const write = (sql: string): void => onChange({ ...widget, filters: { sql } });
  return (
    <label>
      <span class="label">Query</span>
      <textarea
        class="field mono"
        rows={10}
        spellcheck={false}
        value={widget.filters["sql"] ?? ""}
        onChange={(event) => write(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) write(event.currentTarget.value);
        }}
      />
      <span class="dim">Runs when you leave the field, or with Ctrl+Enter.</span>
    </label>
  );
}

const INTERVALS_S = [10, 30, 60, 300, 900];

export function BoardForm({ body, onChange }: {
  body: DashboardBody;
  onChange: (body: DashboardBody) => void;
}): JSX.Element {
  return (
    <form class="form" onSubmit={(event) => event.preventDefault()}>
      <div class="form-head">
        <h2>Dashboard</h2>
      </div>
      <label>
        <span class="label">Name</span>
        <input
          class="field"
          maxLength={200}
          value={body.name}
          onInput={(event) => onChange({ ...body, name: event.currentTarget.value })}
        />
      </label>
      <label>
        <span class="label">Description</span>
        <textarea
          class="field"
          rows={3}
          maxLength={2000}
          value={body.description}
          onInput={(event) => onChange({ ...body, description: event.currentTarget.value })}
        />
      </label>
      <label>
        <span class="label">Type</span>
        <select
          class="field select"
          value={body.type}
          onChange={(event) => onChange({ ...body, type: event.currentTarget.value as DashboardType })}
        >
          {Object.entries(TYPES).map(([type, label]) => (
            <option key={type} value={type}>
              {label}
            </option>
          ))}
        </select>
      </label>
      <label>
        <span class="label">Refresh</span>
        <select
          class="field select"
          value={body.refreshInterval}
          onChange={(event) => onChange({ ...body, refreshInterval: Number(event.currentTarget.value) })}
        >
          {[...new Set([...INTERVALS_S, body.refreshInterval])].map((seconds) => (
            <option key={seconds} value={seconds}>
              {seconds < 60 ? `Every ${seconds} s` : `Every ${seconds / 60} min`}
            </option>
          ))}
        </select>
      </label>
      <p class="dim">Choose a widget to change what it shows. Live figures follow the stream by themselves.</p>
    </form>
  );
}
