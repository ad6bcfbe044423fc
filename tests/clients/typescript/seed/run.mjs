// Runs the compiled examples, with the service at the address that is given.
const [url] = process.argv.slice(2);
const real = globalThis.fetch;
Object.assign(globalThis, {
  user: { id: "user-456" },
  session: { id: "session-789", startTime: Date.now() - 60_000 },
  generateId: () => "execution-1",
  generateSessionId: () => "session-790",
  fetch: async (address, init) => {
    const response = await real(address.replace("https://analytics.api.mw", url), init);
    if (!response.ok) throw new Error(await response.text());
    return response;
  },
});
for (const name of ["service-execution", "revenue", "marketplace", "experiments", "user-session"]) {
  await import(`./out/${name}.js`);
}
