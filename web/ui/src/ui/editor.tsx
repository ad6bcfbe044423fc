// The SQL editor: a text area over the same text in colour, line numbers beside it.

import type { JSX } from "preact";
import { useId, useRef } from "preact/hooks";
import { tokensOf } from "../lib/highlight";

interface Props {
  value: string;
  /** The line that an error names, from 1; 0 for none. */
  errorLine: number;
  onInput: (value: string) => void;
  onRun: () => void;
}

const INDENT = "  ";

export function SqlEditor({ value, errorLine, onInput, onRun }: Props): JSX.Element {
  const area = useRef<HTMLTextAreaElement>(null);
  const shown = useRef<HTMLPreElement>(null);
  const isLeaving = useRef(false);
  const hint = useId();
  const lines = value.split("\n");
  const press = (event: KeyboardEvent): void => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      onRun();
    }
    if (event.key === "Tab" && !isLeaving.current && !event.shiftKey && area.current !== null) {
      event.preventDefault();
      const { selectionStart, selectionEnd } = area.current;
      area.current.setRangeText(INDENT, selectionStart, selectionEnd, "end");
      onInput(area.current.value);
    }
    // Escape, then Tab leaves: otherwise there would be no way out for the keyboard.
    isLeaving.current = event.key === "Escape";
  };
  const follow = (): void => {
    if (area.current !== null && shown.current !== null) {
      shown.current.scrollLeft = area.current.scrollLeft;
    }
  };
  return (
    <div class="editor">
      <ol class="editor-lines" aria-hidden="true">
        {lines.map((_, at) => (
          <li key={at} class={at + 1 === errorLine ? "error-line" : ""}>
            {at + 1}
          </li>
        ))}
      </ol>
      <div class="editor-text">
        <pre ref={shown} class="mono" aria-hidden="true">
          {tokensOf(value).map(({ kind, text }, at) =>
            kind === "plain" ? text : (
              <span key={at} class={`sql-${kind}`}>
                {text}
              </span>
            ),
          )}
          {"\n"}
        </pre>
        <textarea
          ref={area}
          class="mono"
          aria-label="SQL query"
          aria-describedby={hint}
          data-search
          spellcheck={false}
          autocapitalize="off"
          autocomplete="off"
          wrap="off"
          rows={lines.length}
          value={value}
          onInput={(event) => onInput(event.currentTarget.value)}
          onKeyDown={press}
          onScroll={follow}
        />
      </div>
      <span id={hint} class="unseen">
        Control and Enter run the query. Tab indents; Escape, then Tab leaves the editor.
      </span>
    </div>
  );
}
