/** The network between the hosts: like TCP, connections deliver messages in order over links that are slow or cut. */
import type { Host, Process } from "./host.ts";
import { cancelEvent, type Scheduler } from "./scheduler.ts";

/** The callbacks of one end of a connection. */
interface ConnectionHandlers {
  message(message: unknown): void;
  /** Called once for an orderly end or a reset, unless this end has closed the connection. */
  closed(code: "end" | "ECONNRESET"): void;
}

/** One end of a connection. */
export interface Connection {
  /** The host at the other end. */
  readonly remote: string;
  /** The handlers of this end, which must be set before anything arrives. */
  handlers: ConnectionHandlers | undefined;
  readonly isClosed: boolean;
  send(message: unknown): void;
  /** Closes this end; the other end still receives what was sent before. */
  close(): void;
}

type Accept = (connection: Connection) => void;

/** The shortest time of a packet between two hosts, and the largest random addition. */
const [DELAY_MS, JITTER_MS] = [0.5, 0.5];
/** The first pause before TCP resends a packet; each further pause is twice as long. */
const RETRANSMIT_MS = 200;
/** How long TCP resends a packet over a cut link before it gives up: about a quarter of an hour. */
const GIVE_UP_MS = 924_000;

/** The links and the listeners of all hosts. */
export class Network {
  readonly scheduler: Scheduler;
  readonly #hosts = new Map<string, Host>();
  readonly #names = new Map<string, readonly string[]>();
  /** The pairs of hosts whose link is cut. */
  readonly #cuts = new Set<string>();
  readonly #listeners = new Map<string, { readonly own: Process; readonly accept: Accept }>();
  readonly #open = new Map<Process, Set<End>>();
  /** The functions that wait until a link is healed. */
  readonly #waiting = new Map<string, (() => void)[]>();

  constructor(scheduler: Scheduler) {
    this.scheduler = scheduler;
  }

  /** Connects a host; its connections end when its process ends. */
  add(host: Host): void {
    this.#hosts.set(host.name, host);
    host.onEnd((own, how) => {
      for (const [address, listener] of this.#listeners) if (listener.own === own) this.#listeners.delete(address);
      const ends = this.#open.get(own) ?? [];
      this.#open.delete(own);
      for (const end of ends) end.processEnded(how !== "lost power");
    });
  }

  /** Gives several hosts one name, as a load balancer does: each connection goes to one of the hosts that listen. */
  name(name: string, hosts: readonly string[]): void {
    this.#names.set(name, hosts);
  }

  /** Cuts the link between two hosts, in both directions. */
  cut(one: string, other: string): void {
    this.#cuts.add(toPair(one, other));
  }

  heal(one: string, other: string): void {
    const pair = toPair(one, other);
    this.#cuts.delete(pair);
    const waiting = this.#waiting.get(pair) ?? [];
    this.#waiting.delete(pair);
    for (const resume of waiting) resume();
  }

  /** Accepts connections on a port until the process ends. */
  listen(own: Process, port: number, accept: Accept): void {
    const address = `${own.name}:${port}`;
    if (this.#listeners.has(address)) throw Object.assign(new Error("address in use"), { code: "EADDRINUSE" });
    this.#listeners.set(address, { own, accept });
  }

  /**
   * Opens a connection, and passes it or a code such as ECONNREFUSED to `done` after a round trip. Without an answer,
   * as from a host without power, nothing happens until the caller gives up.
   */
  connect(
    own: Process,
    name: string,
    port: number,
    done: (result: Connection | { readonly code: string }) => void,
  ): void {
    const host = this.#resolve(name, port);
    const server = this.#hosts.get(host);
    if (server === undefined) return void this.scheduler.schedule(0, () => done({ code: "ENOTFOUND" }), own);
    this.#carry(own.name, host, undefined, () => {
      if (!server.hasPower) return;
      const listener = this.#listeners.get(`${host}:${port}`);
      if (listener === undefined) return this.#carry(host, own.name, own, () => done({ code: "ECONNREFUSED" }));
      const near = new End(this, own, host);
      const far = new End(this, listener.own, own.name);
      near.other = far;
      far.other = near;
      this.#keep(near);
      this.#keep(far);
      this.scheduler.schedule(0, () => listener.accept(far), listener.own);
      this.#carry(host, own.name, own, () => done(near));
    });
  }

  /** Resets every connection between two hosts, even in the middle of a message. */
  reset(one: string, other: string): void {
    this.scheduler.trace.add(one, `connections to ${other} are reset`);
    for (const ends of this.#open.values()) {
      for (const end of [...ends]) if (toPair(end.own.name, end.remote) === toPair(one, other)) end.break();
    }
  }

  /** Sends a message from one end of a connection to the other. */
  deliver(from: End, to: End, arrived: () => void): void {
    if (to.own.fate === "drop") return this.#deliverToEnded(from, to, RETRANSMIT_MS);
    this.#carry(from.own.name, to.own.name, to.own, arrived, () => from.break());
  }

  /** Resends a packet until the machine has power again, which then resets the connection. */
  #deliverToEnded(from: End, to: End, againMs: number): void {
    const [near, far] = [from.own.name, to.own.name];
    this.#carry(near, far, undefined, () => {
      if (to.own.host.hasPower || againMs > GIVE_UP_MS) return this.#carry(far, near, from.own, () => from.break());
      this.scheduler.schedule(againMs, () => this.#deliverToEnded(from, to, 2 * againMs), undefined);
    }, () => from.break());
  }

  forget(end: End): void {
    this.#open.get(end.own)?.delete(end);
  }

  #resolve(name: string, port: number): string {
    const all = this.#names.get(name) ?? [name];
    const listening = all.filter((host) => this.#listeners.has(`${host}:${port}`));
    const choice = listening.length === 0 ? all : listening;
    return choice[Math.floor(this.scheduler.random.float() * choice.length)]!;
  }

  /** Sends a packet, and runs `arrived` in the receiving program when it arrives. */
  #carry(
    from: string,
    to: string,
    receiver: Process | undefined,
    arrived: () => void,
    givenUp: () => void = () => {},
  ): void {
    const { scheduler } = this;
    const pair = toPair(from, to);
    if (this.#cuts.has(pair)) {
      const giveUp = scheduler.schedule(GIVE_UP_MS, () => (isLost = true, givenUp()), undefined);
      let isLost = false;
      const waiting = this.#waiting.get(pair) ?? [];
      this.#waiting.set(pair, waiting);
      waiting.push(() => {
        cancelEvent(giveUp);
        if (!isLost) this.#carry(from, to, receiver, arrived, givenUp);
      });
      return;
    }
    const delayMs = from === to ? 0 : DELAY_MS + scheduler.random.float() * JITTER_MS;
    scheduler.schedule(delayMs, arrived, receiver);
  }

  #keep(end: End): void {
    const ends = this.#open.get(end.own) ?? new Set();
    this.#open.set(end.own, ends);
    ends.add(end);
  }
}

/** A message in transit; later messages wait until it has arrived. */
interface Transit {
  readonly receive: () => void;
  hasArrived: boolean;
}

class End implements Connection {
  readonly own: Process;
  readonly remote: string;
  handlers: ConnectionHandlers | undefined;
  other: End | undefined;
  isClosed = false;
  readonly #network: Network;
  readonly #inTransit: Transit[] = [];

  constructor(network: Network, own: Process, remote: string) {
    this.#network = network;
    this.own = own;
    this.remote = remote;
  }

  send(message: unknown): void {
    if (!this.isClosed) this.#deliver((other) => other.isClosed || other.handlers?.message(message));
  }

  close(): void {
    if (this.isClosed) return;
    this.#end();
    this.#deliver((other) => other.#ended("end"));
  }

  /** Ends both sides with a reset. */
  break(): void {
    for (const end of [this, this.other!]) {
      if (!end.isClosed) this.#network.scheduler.schedule(0, () => end.#ended("ECONNRESET"), end.own);
    }
  }

  /** Handles the end of the process, after which the system resets its connections unless it has lost power. */
  processEnded(isReset: boolean): void {
    this.isClosed = true;
    if (isReset) this.#deliver((other) => other.#ended("ECONNRESET"));
  }

  #deliver(receive: (other: End) => void): void {
    const other = this.other!;
    const packet: Transit = { receive: () => receive(other), hasArrived: false };
    this.#inTransit.push(packet);
    this.#network.deliver(this, other, () => {
      packet.hasArrived = true;
      while (this.#inTransit[0]?.hasArrived === true) this.#inTransit.shift()!.receive();
    });
  }

  #ended(code: "end" | "ECONNRESET"): void {
    if (this.isClosed) return;
    this.#end();
    this.handlers?.closed(code);
  }

  #end(): void {
    this.isClosed = true;
    this.#network.forget(this);
  }
}

function toPair(one: string, other: string): string {
  return one < other ? `${one} ${other}` : `${other} ${one}`;
}
