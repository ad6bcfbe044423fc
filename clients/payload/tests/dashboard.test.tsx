// @vitest-environment happy-dom
import { cleanup, configure, fireEvent, render, screen, within } from "@testing-library/react";
import type { IncomingMessage, ServerResponse } from "node:http";
import { afterEach, beforeAll, beforeEach, describe, expect, inject, test, vi } from "vitest";
import { Dashboard, type DashboardConfig, type WidgetConfig } from "../src/dashboard/index.js";
import { METRICS } from "../src/metrics.js";
import { listen, track } from "./site.js";

const service = inject("serviceUrl");
const wait = { timeout: 20_000 };
configure({ asyncUtilTimeout: wait.timeout });

// The drawing waits to come into sight; this page has no sights.
beforeAll(() => vi.stubGlobal("IntersectionObserver", undefined));
afterEach(cleanup);

function config(...widgets: WidgetConfig[]): DashboardConfig {
  return { name: "Of the test", refreshInterval: 3600, timezone: "UTC", widgets };
}

const show = (apiUrl: string, ...widgets: WidgetConfig[]) =>
  render(<Dashboard dashboardConfig={config(...widgets)} apiUrl={apiUrl} />);

const execution = (serviceId: string, more: Record<string, unknown> = {}) => ({
  eventType: "service_execution",
  serviceId,
  latencyMs: 100,
  success: true,
  ...more,
});

describe("with the service", () => {
  test("a counter has its figure, with its filter", async () => {
    await track(service, execution("counted"), execution("counted"), execution("another"));
    show(service, { blockType: "counter", metric: "services.executions", range: "24h", filters: { serviceId: "counted" } });
    const widget = await screen.findByRole("article", { name: "Service executions" });
    expect((await within(widget).findByText("2")).className).toBe("tallymark-value");
    expect(within(widget).getByText("Last 24 hours")).toBeTruthy();
  });

  test("a live counter moves with the stream, without anybody asking", async () => {
    show(
      service,
      { blockType: "counter", title: "Asked", metric: "services.executions", range: "today", live: true, filters: { serviceId: "moving" } },
      { blockType: "counter", title: "Streamed", metric: "counters.searches.today", live: true },
    );
    const [asked, streamed] = ["Asked", "Streamed"].map((name) => within(screen.getByRole("article", { name })));
    await asked?.findByText("0");
    await screen.findByText("Live");
    await track(service, execution("moving"), { eventType: "marketplace_search", searchQuery: "live" });
    await asked?.findByText("1");
    await streamed?.findByText("1");
  });

  test("lines can be read as a table, and by arrow keys", async () => {
    await track(service, execution("lined", { latencyMs: 250 }));
    show(service, { blockType: "lineChart", metric: "services.latency", range: "24h", filters: { serviceId: "lined" } });
    const plot = await screen.findByRole("group", { name: /arrow keys/ });
    fireEvent.keyDown(plot, { key: "End" });
    expect(within(plot).getByRole("status").textContent).toMatch(/p50 250\sms.*p95 250\sms.*p99 250\sms/);
    const button = screen.getByRole("button", { name: /^Table/ });
    fireEvent.click(button);
    expect(button.getAttribute("aria-expanded")).toBe("true");
    const rows = within(screen.getByRole("group", { name: /as a table/ })).getAllByRole("row");
    expect(rows).toHaveLength(25);
    expect(rows.at(-1)?.textContent).toMatch(/250\sms/);
    expect(document.querySelector("svg")).toBeNull();
  });

  test("bars of days have one for each day that had something", async () => {
    await track(service, { eventType: "marketplace_view", serviceId: "barred", category: "barred" });
    show(service, { blockType: "barChart", metric: "marketplace.views", range: "7d", filters: { category: "barred" } });
    await screen.findByRole("group", { name: /arrow keys/ });
    const heights = [...document.querySelectorAll("rect")].map((rect) => Number(rect.getAttribute("height")));
    expect([heights.length, heights.filter((height) => height > 0).length]).toEqual([7, 1]);
  });

  test("a table has the rows of the service, the largest first", async () => {
    const slow = execution("table-2", { serviceName: "Second", category: "tabled", success: false, errorCode: "E" });
    const first = execution("table-1", { serviceName: "First", category: "tabled" });
    await track(service, slow, first, first);
    show(service, { blockType: "table", title: "Top Services", metric: "services.services", range: "7d", filters: { category: "tabled" } });
    const table = await screen.findByRole("table", { name: "Top Services" });
    const rows = within(table).getAllByRole("row").map((row) => [...row.children].map((cell) => cell.textContent));
    expect(rows.map(([name, executions]) => [name, executions])).toEqual([["Service", "Executions"], ["First", "2"], ["Second", "1"]]);
    expect(rows[2]?.at(-1)).toMatch(/100\.00\s%/);
  });

  test("a funnel goes from searches over views to conversions", async () => {
    const category = "funnelled";
    await track(
      service,
      { eventType: "marketplace_search", searchQuery: "a", category },
      { eventType: "marketplace_view", serviceId: "f", category },
      { eventType: "marketplace_view", serviceId: "f", category },
      { eventType: "marketplace_conversion", serviceId: "f", category },
    );
    show(service, { blockType: "funnel", metric: "marketplace.funnel", filters: { category } });
    const steps = within(await screen.findByRole("list", { name: "Search to conversion" })).getAllByRole("listitem");
    expect(steps.map(({ textContent }) => textContent?.replace(/\s/g, " "))).toEqual([
      "Searches1",
      "Views2.00 per search2",
      "Conversions50.00 % of views1",
    ]);
  });

  test("money has the currency of the answer", async () => {
    const order = { eventType: "revenue_transaction", orderId: "o-1", serviceId: "sold", amount: 1234.5, currency: "EUR" };
    await track(service, order);
    show(service, { blockType: "counter", metric: "revenue.gmv", range: "7d", filters: { serviceId: "sold" } });
    await screen.findByText("€1,234.50");
  });

  test("without anything in the period a chart says so", async () => {
    show(service, { blockType: "lineChart", metric: "services.executions", filters: { serviceId: "nobody" } });
    await screen.findByText("Nothing in this period.");
  });

  test("a refusal of the service is shown in its words", async () => {
    const inBerlin = { ...config({ blockType: "counter", metric: "users.dau" }), timezone: "Europe/Berlin" };
    render(<Dashboard dashboardConfig={inBerlin} apiUrl={service} />);
    const refusal = await fetch(`${service}/metrics/users?timezone=Europe/Berlin`);
    const { detail } = (await refusal.json()) as { detail: string };
    expect(refusal.status).toBe(422);
    await screen.findByText(`Could not load this. ${detail}`);
  });

  test("every metric is drawn by every widget that offers it", async () => {
    await track(
      service,
      { eventType: "experiment_view", experimentId: "e-1", variantIndex: 0, userId: "u-1" },
      { eventType: "user_session", sessionId: "s-1", userId: "u-1", duration: 1000 },
    );
    const widgets = METRICS.flatMap(({ name, kinds }) =>
      kinds.map((blockType) => ({ blockType, metric: name, title: `${blockType} ${name}`, range: "7d" as const })),
    );
    show(service, ...widgets);
    for (const { title } of widgets) {
      const widget = screen.getByRole("article", { name: title });
      await vi.waitFor(() => expect(widget.querySelector(".tallymark-loading")).toBeNull(), wait);
      expect(widget.querySelector(".tallymark-error")?.textContent, title).toBeUndefined();
    }
  });
});

describe("with a service that fails", () => {
  let respond: (request: IncomingMessage, response: ServerResponse) => void;
  let asked: string[];
  let failing: Awaited<ReturnType<typeof listen>>;
  beforeEach(async () => {
    asked = [];
    failing = await listen((request, response) => {
      asked.push(request.url ?? "");
      response.setHeader("Access-Control-Allow-Origin", "*");
      response.setHeader("Content-Type", "application/json");
      respond(request, response);
    });
    return () => {
      failing.server.closeAllConnections();
      failing.server.close();
    };
  });
  const views = (count: number) => JSON.stringify({ data: { views: count } });
  const counter: WidgetConfig = { blockType: "counter", title: "Views", metric: "marketplace.views" };

  test("until the first answer a widget says that it waits", async () => {
    let answer = () => {};
    respond = (_, response) => (answer = () => response.end(views(7)));
    show(failing.url, counter);
    await screen.findByText("Loading Views …");
    await vi.waitFor(() => expect(asked).toHaveLength(1), wait);
    answer();
    await screen.findByText("7");
    expect(screen.queryByText("Loading Views …")).toBeNull();
  });

  test("a refusal is told with its reason, and not asked again until somebody tries", async () => {
    respond = (_, response) => response.writeHead(401).end('{"detail":"Sign in to see the figures."}');
    show(failing.url, counter);
    await screen.findByText("Could not load this. Sign in to see the figures.");
    respond = (_, response) => response.end(views(8));
    expect(asked).toHaveLength(1);
    fireEvent.click(screen.getByRole("button", { name: "Try again: Views" }));
    await screen.findByText("8");
    expect(screen.queryByRole("button", { name: /Try again/ })).toBeNull();
  });

  test("a live board that is refused says why, and is live once it may be", async () => {
    const streams = () => asked.filter((url) => url.startsWith("/stream")).length;
    respond = (_, response) => response.writeHead(401).end('{"detail":"Sign in to see the figures."}');
    show(failing.url, { ...counter, live: true });
    const state = () => document.querySelector(".tallymark-live")?.textContent;
    await vi.waitFor(() => expect(state()).toBe("Sign in to see the figures."), wait);
    expect(streams()).toBe(1);
    respond = (request, response) => {
      if (request.url?.startsWith("/stream") !== true) return response.end(views(8));
      response.setHeader("Content-Type", "text/event-stream");
      return response.write('data: {"type":"update","timestamp":0,"counters":{"views:today":1}}\n\n');
    };
    document.dispatchEvent(new Event("visibilitychange"));
    await vi.waitFor(() => expect(state()).toBe("Live"), wait);
    expect(streams()).toBe(2);
  });

  test("a live board whose service is away says that it comes back", async () => {
    respond = (_, response) => response.writeHead(503).end('{"detail":"Too busy."}');
    show(failing.url, { ...counter, live: true });
    await screen.findByText("Reconnecting …");
    await vi.waitFor(() => expect(asked.some((url) => url.startsWith("/counters"))).toBe(true), wait);
    await vi.waitFor(() => expect(asked.filter((url) => url.startsWith("/stream")).length).toBeGreaterThan(1), wait);
    expect(screen.getByText("Reconnecting …")).toBeTruthy();
  });

  test("what passes is asked again by itself", async () => {
    respond = (_, response) => response.writeHead(503).end('{"detail":"Too busy."}');
    show(failing.url, counter);
    await screen.findByText("Could not load this. Too busy.");
    respond = (_, response) => response.end(views(9));
    await screen.findByText("9");
  });

  test("old figures stay, and say how old they are", async () => {
    respond = (_, response) => response.end(views(10));
    render(<Dashboard dashboardConfig={{ ...config(counter), refreshInterval: 1 }} apiUrl={failing.url} />);
    await screen.findByText("10");
    respond = (_, response) => response.writeHead(422).end('{"detail":"No more."}');
    await screen.findByText(/^As of \d\d:\d\d:\d\d, and not newer: No more\.$/);
    expect(screen.getByText("10")).toBeTruthy();
  });

  test("it asks again every interval", async () => {
    let count = 0;
    respond = (_, response) => response.end(views(++count));
    render(<Dashboard dashboardConfig={{ ...config(counter), refreshInterval: 1 }} apiUrl={failing.url} />);
    const value = () => Number(document.querySelector(".tallymark-value")?.textContent);
    await vi.waitFor(() => expect(value()).toBeGreaterThanOrEqual(3), wait);
    expect(count).toBeGreaterThanOrEqual(3);
  });

  test("widgets with the same question share one answer", async () => {
    respond = (_, response) => response.end(JSON.stringify({ data: { views: 11, searches: 12 } }));
    show(failing.url, counter, { ...counter, title: "Searches", metric: "marketplace.searches" });
    await screen.findByText("11");
    await screen.findByText("12");
    expect(asked).toHaveLength(1);
  });

  test("filters that a family does not know are left out of its question", async () => {
    respond = (_, response) => response.end(views(1));
    show(failing.url, { ...counter, filters: { experimentId: "e", category: " ai ", creatorId: null, serviceId: "" } });
    await vi.waitFor(() => expect(asked).toHaveLength(1), wait);
    const query = new URL(asked[0] ?? "", failing.url).searchParams;
    expect([...query.keys()].sort()).toEqual(["category", "compare", "endDate", "limit", "startDate", "timezone"]);
    expect(query.get("category")).toBe("ai");
  });

  test("a change is good or bad by what it is of", async () => {
    const total = (errors: number) => ({ executions: 100, latency: {}, errors: { E: errors } });
    respond = (_, response) => response.end(JSON.stringify({ data: [], total: total(30), previous: total(20) }));
    show(failing.url, { blockType: "counter", metric: "services.errors", range: "7d" });
    const change = (await screen.findByText(/50\.0/)).closest("p");
    expect([change?.dataset["good"], change?.textContent?.replace(/\s/g, " ")]).toEqual([
      "no",
      "▲up by 50.0 % against the 7 days before",
    ]);
  });

  test("money of several currencies has the service's reason in place of a figure", async () => {
    const data = { gmv: null, currency: "USD", reason: "EUR and USD cannot be added." };
    respond = (_, response) => response.end(JSON.stringify({ data }));
    show(failing.url, { blockType: "counter", metric: "revenue.gmv" });
    await screen.findByText("EUR and USD cannot be added.");
    expect(document.querySelector(".tallymark-value")?.textContent).toBe("–");
  });
});

describe("without a service", () => {
  test("no dashboard is a sentence that says how to make one", () => {
    render(<Dashboard dashboardConfig={undefined} />);
    expect(screen.getByText(/There is no active dashboard/)).toBeTruthy();
  });

  test("a dashboard without widgets says so", () => {
    render(<Dashboard dashboardConfig={{ name: "Empty", widgets: null }} />);
    expect(screen.getByRole("heading", { level: 2, name: "Empty" })).toBeTruthy();
    expect(screen.getByText("This dashboard has no widgets yet.")).toBeTruthy();
  });

  test("a metric that is not known spoils its own widget alone", () => {
    show("http://127.0.0.1:1", { blockType: "table", metric: "weather.rain" }, { blockType: "funnel", metric: "marketplace.funnel" });
    expect(screen.getByText(/A table of weather\.rain is not known here/)).toBeTruthy();
    expect(screen.getByRole("article", { name: "Search to conversion" })).toBeTruthy();
  });

  test("a theme that is chosen is marked", () => {
    render(<Dashboard dashboardConfig={config()} theme="dark" />);
    expect(screen.getByRole("region", { name: "Of the test" }).dataset["theme"]).toBe("dark");
  });

  test("what else the document holds does not go to the browser", () => {
    const secret = { ...config(), notes: "not for visitors" };
    const { props } = Dashboard({ dashboardConfig: secret }) as { props: object };
    expect(JSON.stringify(props)).not.toContain("not for visitors");
  });
});
