// What all collectors do: put the name of the kind in front of what was given.

/** The fields of an event as a caller gives them. */
export type Fields<E extends { eventType: string }> = Omit<E, "eventType">;

export function build<E extends { eventType: string }>(eventType: E["eventType"], fields: Fields<E>): E {
  return { eventType, ...fields } as unknown as E;
}
