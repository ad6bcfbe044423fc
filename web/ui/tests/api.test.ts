import { afterEach, expect, test, vi } from "vitest";
import { answerTo, forget } from "../src/lib/api";

type Given = (body: string) => void;

/** Have the browser's `fetch` wait for answers that are given by hand, one after the other. */
function byHand(): () => Promise<Given> {
  const come: Given[] = [];
  const waiting: ((given: Given) => void)[] = [];
  vi.stubGlobal("fetch", () => {
    return new Promise<Response>((resolve) => {
      const give: Given = (body) => resolve(new Response(body));
      const taker = waiting.shift();
      if (taker === undefined) come.push(give);
      else taker(give);
    });
  });
  return async () => come.shift() ?? (await new Promise<Given>((done) => waiting.push(done)));
}

afterEach(() => vi.unstubAllGlobals());

test("an answer that was under way when all was forgotten is asked for again", async () => {
  const next = byHand();
  const answer = answerTo<string>("/dashboards");
  const before = await next();
  forget("/dashboards");
  before('"before the change"');
  (await next())('"after it"');
  expect(await answer).toBe("after it");
});

test("a failure that was under way when all was forgotten is no failure of what came after", async () => {
  const next = byHand();
  const answer = answerTo<string>("/dashboards/new");
  const before = await next();
  forget("/dashboards");
  before("no JSON");
  (await next())('"after it"');
  expect(await answer).toBe("after it");
});

test("what is forgotten between two questions is asked once more, and no more than that", async () => {
  const next = byHand();
  const first = answerTo<string>("/catalog");
  (await next())('"first"');
  expect(await first).toBe("first");
  forget("/catalog");
  const second = answerTo<string>("/catalog");
  (await next())('"second"');
  expect(await second).toBe("second");
});
