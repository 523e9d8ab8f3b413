/**
 * One client's connection to one member of the simulated etcd. Messages arrive in order, wait while the link is cut,
 * and are lost when the connection breaks, so a client may not learn the outcome of a write.
 */
import { Buffer } from "node:buffer";
import {
  GRPC_STATUS,
  type GrpcCall,
  GrpcError,
  type GrpcListener,
  type GrpcServer,
} from "../../server/storage/etcd/grpc.ts";
import type { After } from "../../server/storage/storage.ts";

/** The answer of a member to one call. */
export type Reply = (answer: Buffer | GrpcError) => void;

/** The server's side of a stream of messages. */
export interface ServerStream {
  /** Returns false while messages cannot be sent because the link is cut. */
  isFlowing(): boolean;
  send(message: Buffer): void;
  end(error: GrpcError): void;
}

/** The interface of a member to its clients. */
export interface LinkedMember {
  readonly isUp: boolean;
  call(path: string, message: Buffer, reply: Reply): void;
  /** Opens a stream; returns the function that takes each further message. */
  stream(stream: ServerStream): (message: Buffer) => void;
  /** Drops a stream whose client is gone. */
  drop(stream: ServerStream): void;
  /** Continues a stream that could not send for a while. */
  flow(stream: ServerStream): void;
}

interface LinkDeps {
  readonly after: After;
  /** Returns the time that the next message takes, in milliseconds. */
  readonly latencyMs: () => number;
  readonly member: LinkedMember;
  readonly isCut: () => boolean;
  /** Runs a function in the client's process, which may be paused or gone. */
  readonly inClient: (run: () => void) => void;
}

interface Call {
  finish(outcome: Buffer | GrpcError): void;
}

/** How long a client takes to notice a broken connection: its `PING_EVERY_MS` and `PING_WITHIN_MS`. */
const KEEPALIVE_MS = 15_000;
/** How long a channel tries to connect (its `CONNECT_MS`). */
const CONNECT_MS = 5_000;

export class EtcdLink {
  readonly #deps: LinkDeps;
  readonly #up: (() => void)[] = [];
  readonly #down: (() => void)[] = [];
  readonly #calls = new Set<Call>();
  readonly #streams = new Map<ServerStream, Call>();
  /** The number of the connection; messages of earlier connections are lost. */
  #connection = 0;
  #isConnected = false;
  #isClosed = false;
  /** How many of the next answers to writes are lost together with the connection. */
  #answersToLose = 0;
  #cuts = 0;

  constructor(deps: LinkDeps) {
    this.#deps = deps;
  }

  /** The member as its client sees it. */
  get client(): GrpcServer {
    return {
      begin: (path, message, listener, isOpen) =>
        isOpen ? this.#stream(message, listener) : this.#call(path, message, listener),
      close: () => this.close(),
    };
  }

  /** Ends all calls. Sent messages may still arrive, as after the end of the client's process. */
  close(): void {
    this.#isClosed = true;
    this.break("Call cancelled");
  }

  /** Breaks the connection; answers in transit are lost. */
  break(details = "Connection dropped"): void {
    this.#connection++;
    this.#isConnected = false;
    this.#down.length = 0;
    for (const stream of this.#streams.keys()) this.#deps.member.drop(stream);
    this.#streams.clear();
    for (const call of [...this.#calls]) call.finish(new GrpcError(GRPC_STATUS.unavailable, details));
  }

  loseAnswers(count: number): void {
    this.#answersToLose = count;
  }

  /** Breaks the connection if the link stays cut. */
  cut(): void {
    const cuts = ++this.#cuts;
    this.#deps.after(KEEPALIVE_MS, () => {
      if (this.#cuts !== cuts || !this.#deps.isCut()) return;
      this.#up.length = 0;
      this.break();
    });
  }

  /** Delivers the waiting messages of a link that was cut. */
  heal(): void {
    this.#cuts++;
    for (const _ of this.#up) this.#deps.after(this.#deps.latencyMs(), () => this.#pump(this.#up));
    for (const _ of this.#down) this.#deps.after(this.#deps.latencyMs(), () => this.#pump(this.#down));
    for (const stream of this.#streams.keys()) this.#deps.member.flow(stream);
  }

  #call(path: string, message: Uint8Array, listener: GrpcListener): GrpcCall {
    const call = this.#begin((outcome) =>
      this.#deps.inClient(() => {
        if (outcome instanceof Error) return listener.onEnd(outcome);
        listener.onMessage(outcome);
        listener.onEnd(undefined);
      })
    );
    this.#connect(call, () => {
      const connection = this.#connection;
      const isWrite = path.endsWith("/Txn");
      this.#send(this.#up, () => {
        if (!this.#deps.member.isUp) return;
        this.#deps.member.call(path, Buffer.from(message), (answer) => {
          if (connection !== this.#connection) return;
          if (isWrite && answer instanceof Buffer && this.#answersToLose > 0) {
            this.#answersToLose--;
            return this.break();
          }
          this.#send(this.#down, () => call.finish(answer));
        });
      });
    });
    return { write: () => undefined, cancel: () => queueMicrotask(() => call.finish(cancelled())) };
  }

  #stream(first: Uint8Array, listener: GrpcListener): GrpcCall {
    const messages: Uint8Array[] = [first];
    let receive: ((message: Buffer) => void) | undefined;
    const call = this.#begin((outcome) => {
      this.#deps.member.drop(stream);
      this.#streams.delete(stream);
      if (outcome instanceof Error) this.#deps.inClient(() => listener.onEnd(outcome));
    });
    const stream: ServerStream = {
      isFlowing: () => !this.#deps.isCut(),
      send: (message) => this.#send(this.#down, () => this.#deps.inClient(() => listener.onMessage(message))),
      end: (error) => this.#send(this.#down, () => call.finish(error)),
    };
    const deliver = (message: Uint8Array) => this.#send(this.#up, () => receive?.(Buffer.from(message)));
    let isOpen = false;
    this.#connect(call, () => {
      isOpen = true;
      this.#streams.set(stream, call);
      this.#send(this.#up, () => {
        if (this.#deps.member.isUp && this.#streams.has(stream)) receive = this.#deps.member.stream(stream);
      });
      for (const message of messages) deliver(message);
    });
    return {
      write: (message) => void (isOpen ? deliver(message) : messages.push(message)),
      cancel: () => queueMicrotask(() => call.finish(cancelled())),
    };
  }

  #begin(finish: (outcome: Buffer | GrpcError) => void): Call {
    const call: Call = {
      finish: (outcome) => {
        if (this.#calls.delete(call)) finish(outcome);
      },
    };
    this.#calls.add(call);
    return call;
  }

  /** Runs a function once there is a connection; without one, fails the call as not sent. */
  #connect(call: Call, run: () => void): void {
    const { after, latencyMs, member, isCut } = this.#deps;
    if (this.#isConnected) return run();
    const refuse = (why: string) => {
      call.finish(new GrpcError(GRPC_STATUS.unavailable, `connect ${why}`, true));
    };
    after(latencyMs(), () => {
      if (this.#isClosed) return call.finish(new GrpcError(GRPC_STATUS.unavailable, "The client has been closed"));
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

  /** Delivers the oldest message in transit. */
  #pump(queue: (() => void)[]): void {
    if (!this.#deps.isCut()) queue.shift()?.();
  }
}

function cancelled(): GrpcError {
  return new GrpcError(GRPC_STATUS.cancelled, "no answer in time");
}
