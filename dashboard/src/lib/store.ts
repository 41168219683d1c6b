import { useSyncExternalStore } from "react";

/** A value outside React with subscribers: what `useSyncExternalStore` wants, and nothing more. */
export class Store<T> {
  private listeners = new Set<() => void>();
  private value: T;
  constructor(initial: T) {
    this.value = initial;
  }
  get = (): T => this.value;
  set(value: T): void {
    if (Object.is(value, this.value)) return;
    this.value = value;
    for (const listener of this.listeners) listener();
  }
  update(change: (value: T) => T): void {
    this.set(change(this.value));
  }
  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
}

/** Draws anew only when what `select` gives changes. */
export function useStoreWith<T, S>(store: Store<T>, select: (value: T) => S): S {
  return useSyncExternalStore(store.subscribe, () => select(store.get()));
}

export function useStore<T>(store: Store<T>): T {
  return useSyncExternalStore(store.subscribe, store.get);
}
