// All rows of a query as a file: a report of the service, made while the page goes on.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Problem, ask } from "../lib/api";
import { NBSP, percent, plain } from "../lib/format";
import { toast } from "../lib/toasts";
import { Icon } from "../ui/icons";
import { Popover } from "../ui/popover";

const FORMATS: readonly (readonly [string, string])[] = [
  ["csv", "CSV"],
  ["ndjson", "JSON, a line a row"],
  ["json", "JSON, one array"],
  ["arrow", "Arrow"],
];

const POLL_MS = 500;
const MB = 1_000_000;

interface Report {
  id: string;
  status: "queued" | "running" | "done" | "failed";
  progress: number | null;
  sizeBytes: number;
  file: string | null;
  fileName: string;
  reason: string | null;
}

export function ExportButton({ sql }: { sql: string }): JSX.Element {
  const [isOpen, setOpen] = useState(false);
  const [report, setReport] = useState<Report | null>(null);
  const isHere = useRef(true);
  useEffect(() => () => {
    isHere.current = false;
  }, []);
  const begin = async (format: string): Promise<void> => {
    setOpen(false);
    try {
      const body = JSON.stringify({ sql, format });
      let now = await ask<Report>("/exports", { method: "POST", body });
      while (isHere.current && (now.status === "queued" || now.status === "running")) {
        setReport(now);
        await new Promise((done) => setTimeout(done, POLL_MS));
        now = await ask<Report>(`/exports/${now.id}`);
      }
      if (isHere.current) finish(now);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      toast(`Could not export the rows. ${error.message}`, { isError: true });
    } finally {
      if (isHere.current) setReport(null);
    }
  };
  return (
    <Popover
      label="Export"
      class="menu"
      isOpen={isOpen}
      onClose={() => setOpen(false)}
      button={
        <button
          type="button"
          class="button plain"
          aria-expanded={isOpen}
          title="All rows as a file, also where they are more than an answer may have"
          disabled={report !== null}
          onClick={() => setOpen(!isOpen)}
        >
          <Icon name="download" size={14} />
          {told(report)}
        </button>
      }
    >
      {FORMATS.map(([format, name]) => (
        <button key={format} type="button" class="menu-item" onClick={() => void begin(format)}>
          {name}
        </button>
      ))}
    </Popover>
  );
}

function told(report: Report | null): string {
  if (report === null) return "Export";
  if (report.status === "queued") return "Export in line …";
  const size = `${(report.sizeBytes / MB).toFixed(1)}${NBSP}MB`;
  if (report.progress === null) return `Exporting … ${size}`;
  return `Exporting … ${plain(percent(report.progress, 0))}, ${size}`;
}

function finish(report: Report): void {
  if (report.file === null) {
    toast(`Could not export the rows. ${report.reason ?? ""}`, { isError: true });
    return;
  }
  const link = document.createElement("a");
  link.href = report.file;
  link.download = report.fileName;
  link.click();
}
