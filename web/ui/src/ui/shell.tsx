// The frame around every view: navigation, header, bottom bar on the phone, keys.

import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Problem, ask, useAnswer, url } from "../lib/api";
import { NBSP, count } from "../lib/format";
import { headerTools, heading, type Heading, type Periods } from "../lib/heading";
import { log } from "../lib/healthlog";
import { listenToKeys } from "../lib/keys";
import { togglePause, tryNow } from "../lib/live";
import { moved } from "../lib/period";
import { useStore } from "../lib/store";
import { theme, toggleTheme } from "../lib/theme";
import { zoneName } from "../lib/time";
import { copy, toast } from "../lib/toasts";
import type { Dashboard, ExperimentsAnswer, Health, ServicesAnswer } from "../lib/types";
import { beginAnew, go, hashOf, kept, leadingAway, linkTo, putRight, setQuery, type Route } from "../lib/url";
import { settings, useView, wasEmpty, type View } from "../lib/view";
import { FirstRun } from "../views/firstrun";
import { VIEWS, type ViewDef } from "../views/registry";
import { Icon, Logo } from "./icons";
import { KeySheet } from "./keysheet";
import { LiveState, SpokenHeadline } from "./livestate";
import { Float } from "./popover";
import { BackButton, CompareButton, Granularities, RangeButton, isRangeOpen, toggleCompare } from "./range";
import { Toasts } from "./toasts";

const HEALTH_MS = 10_000;
const LISTENING_MS = 1_000;

function defOf(route: Route): ViewDef {
  const found = VIEWS.find(({ name }) => name === (route.path[0] ?? ""));
  return found ?? (VIEWS[0] as ViewDef);
}

export function Shell({ route }: { route: Route }): JSX.Element {
  const def = defOf(route);
  const odd = route.path[0] !== undefined && def.name === "" ? route.path.join("/") : null;
  useEffect(() => {
    if (odd === null) return;
    // Its address is the bare one; whoever types its name means it.
    if (odd !== "overview") toast(`There is no view “${odd}”. This is the overview.`);
    putRight(linkTo([]));
  }, [odd]);
  const view = useView(def.defaults.range === "start" ? { range: "28d", finest: "day" } : def.defaults);
  const [isEmpty, setEmpty] = useState(wasEmpty.get());
  const [isLeaving, setLeaving] = useState(false);
  const health = useAnswer<Health>("/health", isEmpty && !isLeaving ? LISTENING_MS : HEALTH_MS).answer;
  const [areKeysShown, setKeysShown] = useState(false);
  const [isMenuOpen, setMenuOpen] = useState(false);
  const isKiosk = route.query["kiosk"] === "1";
  useEffect(() => {
    if (health?.events === 0) setEmpty(true);
    if (health === undefined) return;
    log(health);
    tryNow();
  }, [health]);
  useLayoutEffect(() => setMenuOpen(false), [route]);
  useKeys(def, view, () => setKeysShown(true));
  const title = useTitle(def);
  // The first event does not throw its sender out of the page on which it was watched for.
  const isFirstRun = isEmpty && !isLeaving && def.name !== "status";
  const Content = isOfOne(def, route) && def.detail !== undefined ? def.detail : def.component;
  const path = route.path.join("/");
  return (
    <div class={`shell${isKiosk ? " kiosk" : ""}`}>
      <a class="skip" href="#content" onClick={skip}>
        Skip to the figures
      </a>
      <Nav route={route} health={health} isEmpty={isFirstRun} />
      <div class="main">
        <Header
          def={def}
          view={view}
          isFirstRun={isFirstRun}
          isListening={isEmpty && (health?.events ?? 0) === 0}
          isMenuOpen={isMenuOpen}
          onMenu={() => setMenuOpen(!isMenuOpen)}
        />
        <main class="content" id="content" tabIndex={-1}>
          {isFirstRun ? (
            <FirstRun health={health} onDone={() => setLeaving(true)} />
          ) : (
            <Content key={path} view={view} />
          )}
        </main>
      </div>
      <BottomBar
        route={route}
        isOpen={isMenuOpen}
        onMore={() => setMenuOpen(!isMenuOpen)}
        onClose={() => setMenuOpen(false)}
      />
      {areKeysShown && <KeySheet onClose={() => setKeysShown(false)} />}
      <Toasts />
      <SpokenHeadline />
      <SpokenTitle title={title} />
    </div>
  );
}

/** A fragment of its own would be taken for a view. */
function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("content")?.focus();
}

function useTitle(def: ViewDef): string {
  const title = useStore(heading, (value) => value?.title) ?? def.title;
  useEffect(() => {
    document.title = `${title} · Tallymark`;
  }, [title]);
  return title;
}

/** Another view is said to those who listen; the first has just been told as the title of the page. */
function SpokenTitle({ title }: { title: string }): JSX.Element {
  const first = useRef(title);
  const isChanged = first.current !== title;
  if (isChanged) first.current = "";
  return (
    <div class="unseen" role="status">
      {isChanged && title}
    </div>
  );
}

function useKeys(def: ViewDef, view: View, showKeys: () => void): void {
  useLayoutEffect(() => {
    // When a key is pressed: what is shown may have said since what can be chosen for it.
    const choices = (): Choices => choicesOf(def, view, heading.get());
    const shift = (steps: -1 | 1): void => {
      const { hasRange, periods } = choices();
      const word = hasRange && periods === "page" ? moved(view.period, steps, view.zone, view.nowMs) : null;
      if (word !== null) setQuery({ range: word });
    };
    const goes = VIEWS.map(({ key, name }): [string, () => void] => [
      `g ${key}`,
      () => go(name === "" ? [] : [name]),
    ]);
    return listenToKeys({
      ...Object.fromEntries(goes),
      "?": showKeys,
      "/": () => document.querySelector<HTMLElement>("[data-search]")?.focus(),
      d: () => choices().hasRange && isRangeOpen.set(!isRangeOpen.get()),
      c: () => choices().hasCompare && toggleCompare(view),
      "[": () => shift(-1),
      "]": () => shift(1),
      l: togglePause,
      t: toggleTheme,
    });
  }, [def, view.route, view.period, view.zone, view.isCompared, view.compareReason]);
}

interface Choices {
  hasRange: boolean;
  hasCompare: boolean;
  hasGranularity: boolean;
  periods: Periods;
}

const isOfOne = ({ detail }: ViewDef, { path }: Route): boolean => path.length > 1 && detail !== undefined;

/** What can be chosen in the header, and by its keys, for a view or for one thing of it. */
function choicesOf(def: ViewDef, { route }: View, told: Heading | null): Choices {
  const periods = told?.periods ?? "page";
  // Who arranges widgets needs the room for that.
  const isEditing = route.query["edit"] === "1";
  const isOffered = (isOfAll: boolean): boolean => (isOfAll || isOfOne(def, route)) && !isEditing;
  return {
    hasRange: isOffered(def.hasRange) && periods !== "none",
    hasCompare: isOffered(def.hasCompare) && told?.isIncomparable !== true,
    hasGranularity: isOffered(def.hasGranularity) && periods === "page",
    periods,
  };
}

interface Counts {
  services?: string;
  experiments?: string;
  dashboards?: string;
}

function useCounts(isEmpty: boolean): Counts {
  const services = useAnswer<ServicesAnswer>(isEmpty ? null : url("/metrics/services", { limit: 1 }));
  const experiments = useAnswer<ExperimentsAnswer>(isEmpty ? null : "/metrics/experiments");
  const dashboards = useAnswer<{ data: Dashboard[] }>(isEmpty ? null : "/dashboards");
  return {
    ...(services.answer === undefined ? {} : { services: count(services.answer.rows) }),
    ...(experiments.answer === undefined ? {} : { experiments: count(experiments.answer.data.length) }),
    ...(dashboards.answer === undefined ? {} : { dashboards: count(dashboards.answer.data.length) }),
  };
}

/** Load is there only where the service says that it runs loads. */
const useHasLoad = (): boolean => useStore(settings, ({ loadRuns }) => loadRuns === true);

function Nav({ route, health, isEmpty }: {
  route: Route;
  health: Health | undefined;
  isEmpty: boolean;
}): JSX.Element {
  const counts: Record<string, string> = { ...useCounts(isEmpty) };
  const hasLoad = useHasLoad();
  const rate = health?.eventsPerSecond;
  if (rate !== undefined) counts["status"] = `${count(rate)}${NBSP}ev/s`;
  const shown = VIEWS.filter(({ name }) => name !== "load" || hasLoad);
  const group = (name: ViewDef["group"]): JSX.Element[] =>
    shown
      .filter((def) => def.group === name)
      .map((def) => <NavItem key={def.name} def={def} route={route} tail={counts[def.name]} />);
  return (
    <nav class="nav" aria-label="Views">
      <a class="brand" href={linkTo([])} aria-label="Tallymark, overview">
        <Logo />
        <span class="name">Tallymark</span>
      </a>
      <div class="nav-group">{group("")}</div>
      {(["Measure", "Build"] as const).map((name) => (
        <>
          <div class="nav-title">
            <span>{name}</span>
          </div>
          <div class="nav-group">{group(name)}</div>
        </>
      ))}
      <div class="nav-group nav-foot">
        {group("foot")}
        <ThemeButton />
        <SignOutButton class="nav-item" />
      </div>
    </nav>
  );
}

function NavItem({ def, route, tail }: {
  def: ViewDef;
  route: Route;
  tail: string | undefined;
}): JSX.Element {
  const isHere = (route.path[0] ?? "") === def.name;
  return (
    <a
      class="nav-item"
      href={hashOf(def.name === "" ? [] : [def.name], kept(route.query))}
      title={def.title}
      {...currentIf(isHere)}
    >
      <Icon name={def.icon} />
      <span class="text">{def.title}</span>
      {tail !== undefined && <span class="tail">{tail}</span>}
    </a>
  );
}

function ThemeButton(): JSX.Element {
  const now = useStore(theme, (value) => value);
  const other = now === "dark" ? "light" : "dark";
  return (
    <button
      type="button"
      class="nav-item"
      title={`Change to the ${other} theme`}
      aria-label={`Theme: ${now}. Change to ${other}`}
      onClick={toggleTheme}
    >
      <Icon name={now === "dark" ? "moon" : "sun"} />
      <span class="text">Theme: {now}</span>
    </button>
  );
}

/** There is something to sign out of only where the service asks for keys. */
function SignOutButton({ class: name }: { class: string }): JSX.Element | null {
  const hasKeys = useStore(settings, ({ keys }) => keys === true);
  return hasKeys ? (
    <button type="button" class={name} title="Sign out" onClick={() => leadingAway(() => void signOut())}>
      <Icon name="leave" />
      <span class="text">Sign out</span>
    </button>
  ) : null;
}

async function signOut(): Promise<void> {
  try {
    await ask("/session", { method: "DELETE" });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    toast(`Could not sign out. ${error.message}`, { isError: true });
    return;
  }
  beginAnew();
}

interface HeaderProps {
  def: ViewDef;
  view: View;
  isFirstRun: boolean;
  isListening: boolean;
  isMenuOpen: boolean;
  onMenu: () => void;
}

/** Letters of a title from which on it gives way to what stands beside it. */
const LONG_FROM = 40;

function Header(props: HeaderProps): JSX.Element {
  const { def, view, isFirstRun, isListening, isMenuOpen, onMenu } = props;
  const told = useStore(heading, (value) => value);
  const tools = useStore(headerTools, (value) => value);
  const shown = told?.title ?? def.title;
  const { hasRange, hasCompare, hasGranularity, periods } = choicesOf(def, view, told);
  const hasOwnPeriods = periods === "own";
  return (
    <header class="header">
      <div class="heading">
        <span class="logo-small">
          <Logo />
        </span>
        {told?.crumb !== undefined && (
          <a class="crumb" href={linkTo(told.crumb.path)}>
            {told.crumb.label}
            {NBSP}/
          </a>
        )}
        <h1 class={shown.length > LONG_FROM ? "long" : ""}>{shown}</h1>
        {told?.id !== undefined && told.id !== told.title && <IdChip id={told.id} />}
        {told?.chip !== undefined && <span class="chip">{told.chip}</span>}
      </div>
      <LiveState zone={view.zone} isListening={isListening} isOver={hasRange && !view.period.isRunning} />
      {hasRange && !hasOwnPeriods && <span class="period-shown">{`${view.period.dates}, ${zoneName(view.zone)}`}</span>}
      <button
        type="button"
        class="icon-button menu-button"
        aria-label="Menu"
        aria-expanded={isMenuOpen}
        title="Menu"
        aria-controls={MORE}
        onClick={onMenu}
      >
        <Icon name="menu" />
      </button>
      {!isFirstRun && (
        <div class="controls">
          {hasRange && (
            <>
              <button
                type="button"
                class="zone"
                title={`Time zone: ${view.zone}`}
                aria-label={`Time zone ${view.zone}, change`}
                onClick={() => isRangeOpen.set(true)}
              >
                {zoneName(view.zone)}
              </button>
              {!hasOwnPeriods && <BackButton view={view} defaultRange={def.defaults.range} />}
              <RangeButton
                view={view}
                defaultRange={def.defaults.range}
                hasGranularity={hasGranularity}
                isOverruled={hasOwnPeriods}
              />
            </>
          )}
          {hasCompare && <CompareButton view={view} isOverruled={hasOwnPeriods} />}
          {hasGranularity && (
            <div class="granularity">
              <Granularities view={view} />
            </div>
          )}
          {tools}
        </div>
      )}
    </header>
  );
}

function IdChip({ id }: { id: string }): JSX.Element {
  return (
    <button type="button" class="chip mono" title="Copy the id" onClick={() => void copy(id, "Id copied")}>
      {id}
    </button>
  );
}

const MORE = "more-views";
const ON_PHONE = ["", "services", "revenue", "users"];

const currentIf = (isHere: boolean): object => (isHere ? { "aria-current": "page" } : {});

function BottomBar({ route, isOpen, onMore, onClose }: {
  route: Route;
  isOpen: boolean;
  onMore: () => void;
  onClose: () => void;
}): JSX.Element {
  const here = route.path[0] ?? "";
  return (
    <>
      <nav class="bottom-bar" aria-label="Main views">
        {VIEWS.filter(({ name }) => ON_PHONE.includes(name)).map(({ name, title, icon }) => (
          <a key={name} href={linkTo(name === "" ? [] : [name])} {...currentIf(here === name)}>
            <Icon name={icon} />
            {title}
          </a>
        ))}
        <button
          type="button"
          class={ON_PHONE.includes(here) ? "" : "here"}
          aria-expanded={isOpen}
          aria-controls={MORE}
          onClick={onMore}
        >
          <Icon name="more" />
          More
        </button>
      </nav>
      {isOpen && <MoreSheet here={here} onClose={onClose} />}
    </>
  );
}

function MoreSheet({ here, onClose }: { here: string; onClose: () => void }): JSX.Element {
  const hasLoad = useHasLoad();
  const others = VIEWS.filter(
    ({ name }) => !ON_PHONE.includes(name) && (name !== "load" || hasLoad),
  );
  return (
    <Float label="More views" class="menu sheet" id={MORE} onClose={onClose}>
      {others.map(({ name, title, icon }) => (
        <a key={name} class="menu-item" href={linkTo([name])} {...currentIf(here === name)}>
          <Icon name={icon} />
          {title}
        </a>
      ))}
      <button type="button" class="menu-item" onClick={toggleTheme}>
        <Icon name="moon" />
        Change the theme
      </button>
      <SignOutButton class="menu-item" />
    </Float>
  );
}
