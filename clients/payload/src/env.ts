// The environment of the server as it is now.

/** A variable, read when it is needed: bundlers put values in the place of names that they can see. */
export const given = (name: string): string | undefined => process.env[name] || undefined;
