/** Requests that wait: flows take turns, and within a flow the first to come is the first to go. */

/** One queue. */
export class FlowQueue<T extends { readonly flow: unknown }> {
  readonly #limit: number;
  /** In the order of their turns. */
  readonly #flows = new Map<unknown, Set<T>>();
  #size = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** How many wait. */
  get size(): number {
    return this.#size;
  }

  /**
   * Lets one wait. In a full queue the longest flow gives way, so that a flood drives out itself: answers the one that
   * has lost its place, which may be the newcomer.
   */
  add(item: T): T | undefined {
    const lost = this.#size < this.#limit ? undefined : this.#newestOfLongest(item.flow);
    if (lost === "newcomer") return item;
    if (lost !== undefined) this.remove(lost);
    const flow = this.#flows.get(item.flow);
    if (flow === undefined) this.#flows.set(item.flow, new Set([item]));
    else flow.add(item);
    this.#size++;
    return lost;
  }

  /** Takes the one whose turn it is; its flow goes to the end. */
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

  /** Takes one out of its turn; false when it does not wait. */
  remove(item: T): boolean {
    const flow = this.#flows.get(item.flow);
    if (flow?.delete(item) !== true) return false;
    this.#size--;
    if (flow.size === 0) this.#flows.delete(item.flow);
    return true;
  }

  #newestOfLongest(newcomersFlow: unknown): T | "newcomer" {
    let longest: Set<T> | undefined;
    for (const flow of this.#flows.values()) if (flow.size > (longest?.size ?? 0)) longest = flow;
    const own = (this.#flows.get(newcomersFlow)?.size ?? 0) + 1;
    if (longest === undefined || own >= longest.size) return "newcomer";
    return [...longest].at(-1) ?? "newcomer";
  }
}
