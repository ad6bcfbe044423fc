// Where the service has keys: a read key is swapped for a cookie, and is kept nowhere.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Problem, ask } from "../lib/api";

const REFUSALS: Record<number, string> = {
  401: "No such key works here.",
  403: "This key may send events and not read figures.",
  429: "Too many keys that do not work came from here. Try again in a minute.",
};

export function SignIn(): JSX.Element {
  const [key, setKey] = useState("");
  const [complaint, setComplaint] = useState<string | null>(null);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    try {
      await ask("/session", { method: "POST", headers: { Authorization: `Bearer ${key.trim()}` } });
      location.reload();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setComplaint(REFUSALS[error.status] ?? `Could not sign in. ${error.message}`);
    }
  };
  return (
    <main class="waiting">
      <h1>This service asks for a key</h1>
      <p>
        Enter a read key, or an admin key to give names and run loads too. It is swapped for a cookie of
        this page, good for 8 hours, and is not stored.
      </p>
      <form class="sign-in" onSubmit={(event) => void submit(event)}>
        <label>
          <span class="label">Key</span>
          <input
            class="field"
            type="password"
            autofocus
            autocomplete="current-password"
            value={key}
            onInput={(event) => setKey(event.currentTarget.value)}
          />
        </label>
        {complaint !== null && (
          <p class="bad" role="alert">
            {complaint}
          </p>
        )}
        <button type="submit" class="button primary" disabled={key.trim() === ""}>
          Show the figures
        </button>
      </form>
    </main>
  );
}
