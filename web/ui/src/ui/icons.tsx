// The page's icons: 16 px, stroke 1.5, drawn in the colour of the text beside them.

import type { JSX } from "preact";

const PATHS = {
  overview: "M2.5 2.5h4.5v4.5h-4.5zM9 2.5h4.5v4.5h-4.5zM2.5 9h4.5v4.5h-4.5zM9 9h4.5v4.5h-4.5z",
  services: "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.01M5 11h.01",
  revenue: "M8 1.5v13M11 4.2c-.6-.9-1.6-1.2-3-1.2-1.7 0-3 .8-3 2.3 0 3.4 6.2 1.7 6.2 5.1 0 1.6-1.4 2.5-3.2 2.5-1.6 0-2.8-.5-3.4-1.5",
  marketplace: "M2 3h12l-4.7 5.5v4.6l-2.6-1.6v-3z",
  experiments: "M6 2h4M6.7 2v4.3L2.9 13a.8.8 0 0 0 .7 1h8.8a.8.8 0 0 0 .7-1L9.3 6.3V2M4.8 10h6.4",
  users: "M6 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM1.5 13.5c0-2.3 2-4 4.5-4s4.5 1.7 4.5 4M10.5 2.7a2.5 2.5 0 0 1 0 4.6M12 9.8c1.5.5 2.5 1.9 2.5 3.7",
  dashboards: "M2.5 2.5h11v11h-11zM2.5 6.5h11M6.5 6.5v7",
  explore: "M5 4.5L1.5 8 5 11.5M11 4.5L14.5 8 11 11.5",
  load: "M2 13.5a6 6 0 1 1 12 0M8 10l3-3.5",
  status: "M1.5 8.5h3l2-5.5 3 10 2-4.5h3",
  moon: "M13.5 9.6A5.9 5.9 0 0 1 6.4 2.5a5.9 5.9 0 1 0 7.1 7.1z",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M12.6 3.4l-.7.7M4.1 11.9l-.7.7",
  calendar: "M2.5 3.5h11v10h-11zM2.5 6.5h11M5.5 2v2.5M10.5 2v2.5",
  compare: "M2 9.5c1.5-3.5 3-4.5 4.3-2.5s2.5 2.5 3.7.5c1-1.7 2.3-2 4-.5M2 13h12",
  down: "M4.5 6.5L8 10l3.5-3.5",
  table: "M2.5 3h11v10h-11zM2.5 6.3h11M2.5 9.7h11M6.5 3v10",
  download: "M8 2.5v8M4.8 7.5L8 10.7l3.2-3.2M3 13.5h10",
  search: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.3 10.3l3.2 3.2",
  back: "M6 3.5L2.5 7 6 10.5M2.5 7h7a4 4 0 0 1 0 8H7",
  warning: "M8 2L14.5 13.5h-13zM8 6.5v3.5M8 12h.01",
  check: "M3 8.5L6.5 12 13 4.5",
  copy: "M5.5 5.5h8v8h-8zM3.5 10.5h-1v-8h8v1",
  link: "M6.5 9.5l3-3M7.5 4.5l1.5-1.5a2.8 2.8 0 0 1 4 4l-1.5 1.5M8.5 11.5L7 13a2.8 2.8 0 0 1-4-4l1.5-1.5",
  play: "M4.5 2.5l8 5.5-8 5.5z",
  close: "M4 4l8 8M12 4l-8 8",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  leave: "M9.5 3H3v10h6.5M7 8h7M11.5 5.5L14 8l-2.5 2.5",
  plus: "M8 3v10M3 8h10",
  edit: "M3 13l.7-3L10.5 3.2l2.3 2.3L6 12.3z",
  trash: "M3 4.5h10M6.5 4.5v-2h3v2M4.5 4.5l.6 9h5.8l.6-9",
  resize: "M13 6v7H6M13 13L7.5 7.5",
  move: "M8 2v12M2 8h12M6 4l2-2 2 2M6 12l2 2 2-2M4 6L2 8l2 2M12 6l2 2-2 2",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }): JSX.Element {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      stroke-width="1.5"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}

/** Four strokes and the fifth across them. */
export function Logo(): JSX.Element {
  return (
    <svg width="20" height="20" viewBox="0 0 20 20" fill="none" stroke-linecap="round" aria-hidden="true">
      <path d="M4.5 4v12M8.2 4v12M11.9 4v12M15.6 4v12" stroke="var(--text)" stroke-width="1.8" />
      <path d="M1.8 14.6L18.2 5.4" stroke="var(--accent)" stroke-width="2" />
    </svg>
  );
}
