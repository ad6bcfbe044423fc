// The frame of the page before anything is known: index.html has the same, so that nothing moves.

import type { JSX } from "preact";

export function Opening(): JSX.Element {
  return (
    <div class="shell opening">
      <div class="nav" />
      <div class="main">
        <div class="header" />
        <main class="content" aria-busy="true">
          <p class="dim">Loading …</p>
        </main>
      </div>
    </div>
  );
}
