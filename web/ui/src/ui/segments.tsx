// A choice of a few, all of them seen.

import type { JSX } from "preact";

export interface Choice<T extends string> {
  value: T;
  label: string;
  /** Why it cannot be chosen; null or absent where it can. */
  reason?: string | null;
}

interface Props<T extends string> {
  label: string;
  choices: readonly Choice<T>[];
  value: T;
  isSmall?: boolean;
  onChoose: (value: T) => void;
}

export function Segments<T extends string>(props: Props<T>): JSX.Element {
  const { label, choices, value, isSmall = false, onChoose } = props;
  return (
    <div class={`segments${isSmall ? " small" : ""}`} role="group" aria-label={label}>
      {choices.map((choice) => (
        <button
          key={choice.value}
          type="button"
          aria-pressed={choice.value === value}
          disabled={choice.reason != null}
          title={choice.reason ?? undefined}
          onClick={() => onChoose(choice.value)}
        >
          {choice.label}
        </button>
      ))}
    </div>
  );
}
