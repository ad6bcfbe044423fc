// A value that can be watched: the one way in which state is shared between parts of the page.

import { useLayoutEffect, useState } from "preact/hooks";

export interface Store<T> {
  get(): T;
  set(next: T): void;
  subscribe(watcher: () => void): () => void;
}

export function createStore<T>(initial: T): Store<T> {
  let value = initial;
  const watchers = new Set<() => void>();
  return {
    get: () => value,
    set(next) {
      if (Object.is(value, next)) return;
      value = next;
      for (const watcher of [...watchers]) watcher();
    },
    subscribe(watcher) {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
  };
}

/** What `pick` takes of a store, drawn again only when that changes. */
export function useStore<T, U>(store: Store<T>, pick: (value: T) => U): U {
  const [picked, setPicked] = useState(() => pick(store.get()));
  // Before the page is painted: what other parts set while they are drawn first is seen at once.
  useLayoutEffect(() => {
    const look = (): void => setPicked(() => pick(store.get()));
    look();
    return store.subscribe(look);
  }, [store]);
  return picked;
}
