/** A queue of waiting requests, fair between flows: flows take turns, and each flow is first in, first out. */

export class FlowQueue<T extends { readonly flow: unknown }> {
  readonly #limit: number;
  /** The flows in the order of their turns. */
  readonly #flows = new Map<unknown, Set<T>>();
  #size = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#size;
  }

  /**
   * Adds an item. When the queue is full, the longest flow loses its newest item, so that a flood displaces only itself.
   * Returns the displaced item, which may be the added one.
   */
  add(item: T): T | undefined {
    const displaced = this.#size < this.#limit ? undefined : this.#findDisplaced(item.flow);
    if (displaced === "added") return item;
    if (displaced !== undefined) this.remove(displaced);
    const flow = this.#flows.get(item.flow);
    if (flow === undefined) this.#flows.set(item.flow, new Set([item]));
    else flow.add(item);
    this.#size++;
    return displaced;
  }

  /** Removes and returns the next item; its flow moves to the end. */
  take(): T | undefined {
    for (const [name, flow] of this.#flows) {
      const [item] = flow;
      if (item === undefined) continue;
      this.#flows.delete(name);
      flow.delete(item);
      this.#size--;
      if (flow.size > 0) this.#flows.set(name, flow);
      return item;
    }
    return undefined;
  }

  /** Removes an item before its turn; false when it is not in the queue. */
  remove(item: T): boolean {
    const flow = this.#flows.get(item.flow);
    if (flow?.delete(item) !== true) return false;
    this.#size--;
    if (flow.size === 0) this.#flows.delete(item.flow);
    return true;
  }

  /** Finds the newest item of the longest flow, which is the added item when its own flow becomes the longest. */
  #findDisplaced(addedFlow: unknown): T | "added" {
    let longest: Set<T> | undefined;
    for (const flow of this.#flows.values()) if (flow.size > (longest?.size ?? 0)) longest = flow;
    const own = (this.#flows.get(addedFlow)?.size ?? 0) + 1;
    if (longest === undefined || own >= longest.size) return "added";
    return [...longest].at(-1) ?? "added";
  }
}
