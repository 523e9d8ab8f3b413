/**
 * One client's connection to one member of the simulated etcd, as `@grpc/grpc-js` shows it: messages arrive in order, wait
 * while the way is cut and are lost when the connection breaks, so that a client may not know what became of a write.
 */
import { Buffer } from "node:buffer";
import { EventEmitter } from "node:events";
import { status } from "@grpc/grpc-js";
import type { EtcdMember } from "../../server/storage/etcd/client.ts";
import type { After } from "../../server/storage/etcd/after.ts";
import { ModelError } from "./etcd_store.ts";

/** The answer of a member to one call. */
export type Reply = (answer: Buffer | ModelError) => void;

/** What a member needs of a stream of messages. */
export interface ServerStream {
  /** False while messages cannot be sent, because the way is cut. */
  isFlowing(): boolean;
  send(message: Buffer): void;
  end(error: ModelError): void;
}

/** A member as its clients reach it. */
export interface LinkedMember {
  readonly isUp: boolean;
  call(path: string, message: Buffer, reply: Reply): void;
  /** Opens a stream; each further message is passed to the function that is returned. */
  stream(stream: ServerStream): (message: Buffer) => void;
  /** Forgets a stream whose client is gone. */
  drop(stream: ServerStream): void;
  /** Continues streams that could not send. */
  flow(stream: ServerStream): void;
}

export interface LinkDeps {
  readonly after: After;
  /** The time that the next message takes, in milliseconds. */
  readonly latencyMs: () => number;
  readonly member: LinkedMember;
  readonly isCut: () => boolean;
  /** Runs what happens in the client's process, which may be paused or gone. */
  readonly inClient: (run: () => void) => void;
}

interface Call {
  finish(outcome: Buffer | ModelError): void;
}

/** How long a broken connection takes to be noticed: the client's keepalive time and timeout (`CHANNEL_OPTIONS`). */
const KEEPALIVE_MS = 15_000;
/** How long gRPC tries to connect (`minConnectTimeout` of grpc-js). */
const CONNECT_MS = 20_000;

export class EtcdLink {
  readonly #deps: LinkDeps;
  readonly #up: (() => void)[] = [];
  readonly #down: (() => void)[] = [];
  readonly #calls = new Set<Call>();
  readonly #streams = new Map<ServerStream, Call>();
  /** Counts connections; what belongs to an earlier one is lost. */
  #connection = 0;
  #isConnected = false;
  #isClosed = false;
  /** How many of the next answers to writes break the connection instead. */
  #answersToLose = 0;
  #cuts = 0;

  constructor(deps: LinkDeps) {
    this.#deps = deps;
  }

  /** The connection as the client's code uses it. */
  get client(): EtcdMember {
    const client = {
      makeUnaryRequest: (path: string, ...rest: unknown[]) => {
        const message = rest[2] as Buffer;
        const callback = rest.at(-1) as (error: Error | null, answer?: Buffer) => void;
        return this.#call(path, message, callback);
      },
      makeBidiStreamRequest: () => this.#stream(),
      close: () => this.close(),
    };
    return client as unknown as EtcdMember;
  }

  /** Ends all calls; what was sent may still arrive, as after the end of the client's process. */
  close(): void {
    this.#isClosed = true;
    this.break("Call cancelled");
  }

  /** Breaks the connection: answers under way are lost. */
  break(details = "Connection dropped"): void {
    this.#connection++;
    this.#isConnected = false;
    this.#down.length = 0;
    for (const stream of this.#streams.keys()) this.#deps.member.drop(stream);
    this.#streams.clear();
    for (const call of [...this.#calls]) call.finish(new ModelError(status.UNAVAILABLE, details));
  }

  loseAnswers(count: number): void {
    this.#answersToLose = count;
  }

  /** Reports that the way was cut. */
  cut(): void {
    const cuts = ++this.#cuts;
    this.#deps.after(KEEPALIVE_MS, () => {
      if (this.#cuts !== cuts || !this.#deps.isCut()) return;
      this.#up.length = 0;
      this.break();
    });
  }

  /** Reports that the way is open again: what waited goes on. */
  heal(): void {
    this.#cuts++;
    for (const _ of this.#up) this.#deps.after(this.#deps.latencyMs(), () => this.#pump(this.#up));
    for (const _ of this.#down) this.#deps.after(this.#deps.latencyMs(), () => this.#pump(this.#down));
    for (const stream of this.#streams.keys()) this.#deps.member.flow(stream);
  }

  #call(path: string, message: Buffer, callback: (error: Error | null, answer?: Buffer) => void) {
    const call = this.#begin((outcome) =>
      this.#deps.inClient(() => outcome instanceof Error ? callback(outcome) : callback(null, outcome))
    );
    this.#connect(call, () => {
      const connection = this.#connection;
      const isWrite = path.endsWith("/Txn");
      this.#send(this.#up, () => {
        if (!this.#deps.member.isUp) return;
        this.#deps.member.call(path, message, (answer) => {
          if (connection !== this.#connection) return;
          if (isWrite && answer instanceof Buffer && this.#answersToLose > 0) {
            this.#answersToLose--;
            return this.break();
          }
          this.#send(this.#down, () => call.finish(answer));
        });
      });
    });
    return { cancel: () => queueMicrotask(() => call.finish(new ModelError(status.CANCELLED, "Cancelled on client"))) };
  }

  #stream() {
    const emitter = new EventEmitter();
    const messages: Buffer[] = [];
    let receive: ((message: Buffer) => void) | undefined;
    const call = this.#begin((outcome) => {
      this.#deps.member.drop(stream);
      this.#streams.delete(stream);
      if (outcome instanceof Error) this.#deps.inClient(() => emitter.emit("error", outcome));
    });
    const stream: ServerStream = {
      isFlowing: () => !this.#deps.isCut(),
      send: (message) => this.#send(this.#down, () => this.#deps.inClient(() => emitter.emit("data", message))),
      end: (error) => this.#send(this.#down, () => call.finish(error)),
    };
    const deliver = (message: Buffer) => this.#send(this.#up, () => receive?.(message));
    let isOpen = false;
    this.#connect(call, () => {
      isOpen = true;
      this.#streams.set(stream, call);
      this.#send(this.#up, () => {
        if (this.#deps.member.isUp && this.#streams.has(stream)) receive = this.#deps.member.stream(stream);
      });
      for (const message of messages) deliver(message);
    });
    return Object.assign(emitter, {
      write: (message: Buffer) => void (isOpen ? deliver(message) : messages.push(message)),
      cancel: () => queueMicrotask(() => call.finish(new ModelError(status.CANCELLED, "Cancelled on client"))),
    });
  }

  #begin(finish: (outcome: Buffer | ModelError) => void): Call {
    const call: Call = {
      finish: (outcome) => {
        if (this.#calls.delete(call)) finish(outcome);
      },
    };
    this.#calls.add(call);
    return call;
  }

  /** Runs a function once there is a connection; otherwise the call was not sent. */
  #connect(call: Call, run: () => void): void {
    const { after, latencyMs, member, isCut } = this.#deps;
    if (this.#isConnected) return run();
    const refuse = (why: string) => {
      const details = `No connection established. Last error: Error: connect ${why}. Resolution note: `;
      call.finish(new ModelError(status.UNAVAILABLE, details));
    };
    after(latencyMs(), () => {
      if (this.#isClosed) return call.finish(new ModelError(status.UNAVAILABLE, "The client has been closed"));
      if (!this.#calls.has(call)) return;
      if (isCut()) return void after(CONNECT_MS, () => refuse("ETIMEDOUT"));
      if (!member.isUp) return refuse("ECONNREFUSED");
      this.#isConnected = true;
      run();
    });
  }

  #send(queue: (() => void)[], deliver: () => void): void {
    queue.push(deliver);
    this.#deps.after(this.#deps.latencyMs(), () => this.#pump(queue));
  }

  /** Delivers the oldest message that is under way. */
  #pump(queue: (() => void)[]): void {
    if (!this.#deps.isCut()) queue.shift()?.();
  }
}
