/**
 * An in-memory etcd of several members, for simulations. It has a leader and terms, quorums, members that lag, refuse
 * requests or are down, watches, leases and compaction, with etcd's errors. Each member has applied a prefix of one
 * log. When a leader is lost, some or none of the uncommitted proposals are committed, as in Raft.
 */
import type { Buffer } from "node:buffer";
import type { After } from "../../server/storage/storage.ts";
import { GRPC_STATUS, GrpcError, type GrpcServer } from "../../server/storage/etcd/grpc.ts";
import { EtcdLink, type LinkedMember, type Reply, type ServerStream } from "./etcd_link.ts";
import {
  decodeModelNumber,
  decodeModelRange,
  decodeModelTransaction,
  decodeModelWatch,
  encodeModelHeader,
  encodeModelLease,
  encodeModelRange,
  encodeModelStatus,
  encodeModelTransaction,
  encodeModelWatch,
} from "./etcd_messages.ts";
import { checkTransaction, EtcdStore, type ModelChange, type ModelView } from "./etcd_store.ts";

interface EtcdModelDeps {
  readonly members?: number;
  readonly after: After;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** Called with each committed change. */
  readonly onChange?: (change: ModelChange) => void;
}

/** How long etcd tries to serve a request (`ReqTimeout` with the default heartbeat and election times). */
const REQUEST_TIMEOUT_MS = 7_000;
/** The shortest time without a leader before members elect one; the longest is twice that. */
const ELECTION_MS = 1_000;
/** The number of election times without a leader after which streams end (`maxNoLeaderCnt`). */
const STREAM_ELECTIONS = 3;
/** The interval at which etcd sends past changes to watches that are behind (`watchResyncPeriod`). */
const RESYNC_MS = 100;
/** The largest request (`--max-request-bytes`), and the bytes that Raft adds to it. */
const MAX_REQUEST_BYTES = 1_572_864;
const RAFT_BYTES = 17;
/** The shortest lease that etcd grants, in seconds (`minLeaseTTL` with the default times). */
const MIN_TTL_SECONDS = 2;
/** The longest time that a message takes, in milliseconds. */
const LATENCY_MS = 2;
const VERSION = "3.6.5";
/** Greater than all keys, because UTF-8 has no byte 0xff. */
const ALL_KEYS = "\xff";

interface Watcher {
  readonly key: string;
  readonly rangeEnd: string;
  /** The first revision that was not sent. */
  next: number;
  /** False while it is behind. */
  isSynced: boolean;
}

interface Stream {
  readonly server: ServerStream;
  readonly watchers: Watcher[];
}

/** A call that a member answers once a condition holds. */
interface Waiter {
  isReady(): boolean;
  run(): void;
}

interface Proposal {
  /** Changes the store, or throws GrpcError and changes nothing. */
  readonly apply: () => Buffer;
  outcome?: Buffer | GrpcError;
  /** The index of its entry, set when it is committed. */
  index?: number;
}

class Member implements LinkedMember {
  readonly name: string;
  readonly #model: EtcdModel;
  isUp = true;
  /** The index of the last applied entry. */
  applied = 0;
  view: ModelView = { revision: 1, compacted: 0 };
  hasLeader = true;
  /** The longest time that an entry takes to be applied, in milliseconds. */
  lagMs = LATENCY_MS;
  readonly waiters = new Set<Waiter>();
  readonly streams = new Map<ServerStream, Stream>();

  constructor(name: string, model: EtcdModel) {
    this.name = name;
    this.#model = model;
  }

  call(path: string, message: Buffer, reply: Reply): void {
    this.#model.serve(this, path, message, reply);
  }

  stream(server: ServerStream): (message: Buffer) => void {
    return this.#model.openStream(this, server);
  }

  drop(server: ServerStream): void {
    this.streams.delete(server);
  }

  flow(server: ServerStream): void {
    const stream = this.streams.get(server);
    if (stream !== undefined) this.#model.resync(this, stream);
  }
}

export class EtcdModel {
  readonly #after: After;
  readonly #random: () => number;
  readonly #onChange: (change: ModelChange) => void;
  readonly #members: readonly Member[];
  readonly #store = new EtcdStore();
  readonly #cuts = new Set<string>();
  readonly #links: { readonly client: string; readonly member: Member; readonly link: EtcdLink }[] = [];
  readonly #leases = new Map<bigint, { readonly ttlSeconds: number; cancel: () => void }>();
  /** The state after each entry of the log, from the newest entry that every member has applied. */
  #views: ModelView[] = [{ revision: 1, compacted: 0 }];
  #firstIndex = 0;
  #leader: Member | undefined;
  #term = 1;
  #pending: Proposal[] = [];
  #isElecting = false;

  constructor({ members = 1, after, random, onChange = () => undefined }: EtcdModelDeps) {
    this.#onChange = onChange;
    this.#after = after;
    this.#random = random;
    this.#members = Array.from({ length: members }, (_, index) => new Member(`etcd-${index}`, this));
    this.#leader = this.#members[0];
  }

  /** The names of the members, as `cut` and other methods take them. */
  get members(): readonly string[] {
    return this.#members.map(({ name }) => name);
  }

  get term(): number {
    return this.#term;
  }

  /** The state after the last committed entry. */
  get store(): EtcdStore {
    return this.#store;
  }

  /** Connects one client to all members; `inClient` runs functions in the client's process. */
  connect(client: string, inClient: (run: () => void) => void = (run) => run()): readonly GrpcServer[] {
    return this.#members.map((member) => {
      const link = new EtcdLink({
        after: this.#after,
        latencyMs: () => this.#latencyMs(),
        member,
        isCut: () => this.isCut(client, member.name),
        inClient,
      });
      this.#links.push({ client, member, link });
      return link.client;
    });
  }

  /** Ends the connections of a client whose process has ended; it may connect again. */
  disconnect(client: string): void {
    for (const { link } of this.#linksOf(client)) link.close();
    for (let index = this.#links.length - 1; index >= 0; index--) {
      if (this.#links[index]!.client === client) this.#links.splice(index, 1);
    }
  }

  /** Kills a member; it keeps what it has applied. */
  crash(name: string): void {
    const member = this.#find(name);
    member.isUp = false;
    member.waiters.clear();
    member.streams.clear();
    for (const { link } of this.#linksOf(name)) link.break();
    this.#settle();
  }

  restart(name: string): void {
    const member = this.#find(name);
    member.isUp = true;
    member.hasLeader = false;
    this.#settle();
  }

  /** Cuts the link between two members, or a client and a member, until it is healed. */
  cut(one: string, other: string): void {
    if (this.isCut(one, other)) return;
    this.#cuts.add(toLinkName(one, other));
    for (const { link } of this.#linksOf(one, other)) link.cut();
    this.#settle();
  }

  heal(one: string, other: string): void {
    if (!this.#cuts.delete(toLinkName(one, other))) return;
    for (const { link } of this.#linksOf(one, other)) link.heal();
    this.#settle();
  }

  isCut(one: string, other: string): boolean {
    return this.#cuts.has(toLinkName(one, other));
  }

  /** Breaks the connections between a client and a member; they may connect again at once. */
  reset(client: string, member: string): void {
    for (const { link } of this.#linksOf(client, member)) link.break();
  }

  /** Loses the answers to a number of a client's writes, which still take place. */
  loseAnswers(client: string, count: number): void {
    for (const { link } of this.#linksOf(client)) link.loseAnswers(count);
  }

  /** Makes a member apply entries late, by up to a given time. */
  slow(name: string, lagMs = LATENCY_MS): void {
    this.#find(name).lagMs = lagMs;
  }

  /** Makes the members elect a leader other than the current one. */
  moveLeader(): void {
    const others = this.#members.filter((member) => member !== this.#leader && this.#hasQuorum(member));
    if (others.length > 0) this.#lead(others[this.#pick(others.length)]!);
    this.#settle();
  }

  /** Compacts the history, as another user of the same etcd would. */
  compact(): void {
    const { revision, compacted } = this.#store.view;
    if (revision > compacted) this.#commitOwn(() => this.#store.compact(revision));
  }

  /** Serves one call at a member. */
  serve(member: Member, path: string, message: Buffer, reply: Reply): void {
    if (!member.hasLeader) return reply(unavailable("etcdserver: no leader"));
    try {
      this.#dispatch(member, path, message, reply);
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      reply(error);
    }
  }

  openStream(member: Member, server: ServerStream): (message: Buffer) => void {
    if (!member.hasLeader) {
      server.end(unavailable("etcdserver: no leader"));
      return () => undefined;
    }
    const stream: Stream = { server, watchers: [] };
    member.streams.set(server, stream);
    return (message) => {
      if (!member.isUp || !member.streams.has(server)) return;
      const request = decodeModelWatch(message);
      const { revision } = member.view;
      if (request.kind === "progress") {
        if (stream.watchers.every(({ isSynced }) => isSynced)) server.send(encodeModelWatch({ revision }));
        return;
      }
      const { key, rangeEnd, startRevision } = request;
      const next = startRevision === 0 ? revision + 1 : startRevision;
      stream.watchers.push({ key, rangeEnd, next, isSynced: next > revision });
      server.send(encodeModelWatch({ revision, created: true }));
      this.resync(member, stream);
    };
  }

  /** Sends the missed changes to the watches of a stream that are behind. */
  resync(member: Member, stream: Stream): void {
    if (stream.watchers.every(({ isSynced }) => isSynced)) return;
    this.#after(this.#random() * RESYNC_MS, () => {
      if (!member.streams.has(stream.server) || !stream.server.isFlowing()) return;
      for (const watcher of [...stream.watchers]) if (!watcher.isSynced) this.#catchUp(member, stream, watcher);
    });
  }

  #dispatch(member: Member, path: string, message: Buffer, reply: Reply): void {
    switch (path) {
      case "/etcdserverpb.KV/Range": {
        const request = decodeModelRange(message);
        const read = () => encodeModelRange(member.view.revision, this.#store.range(request, member.view));
        return this.#read(member, reply, read);
      }
      case "/etcdserverpb.KV/Txn": {
        const request = decodeModelTransaction(message);
        checkTransaction(request);
        if (message.length + RAFT_BYTES > MAX_REQUEST_BYTES) {
          throw new GrpcError(GRPC_STATUS.invalidArgument, "etcdserver: request is too large");
        }
        return this.#propose(member, reply, () => {
          const { succeeded, answers } = this.#store.transact(request);
          return encodeModelTransaction(this.#store.view.revision, succeeded, answers);
        });
      }
      case "/etcdserverpb.KV/Compact": {
        const revision = decodeModelNumber(message);
        return this.#propose(member, reply, () => {
          this.#store.compact(revision);
          return encodeModelHeader(this.#store.view.revision);
        });
      }
      case "/etcdserverpb.Lease/LeaseGrant": {
        const ttlSeconds = Math.max(MIN_TTL_SECONDS, decodeModelNumber(message));
        const id = BigInt(1 + this.#pick(2 ** 31)) * 2n ** 32n + BigInt(this.#pick(2 ** 32));
        return this.#propose(member, reply, () => {
          this.#store.grant(id);
          this.#leases.set(id, { ttlSeconds, cancel: () => undefined });
          this.#renew(id);
          return encodeModelLease(this.#store.view.revision, id, ttlSeconds);
        });
      }
      case "/etcdserverpb.Maintenance/Status":
        return reply(encodeModelStatus(member.view.revision, VERSION));
      default:
        throw new Error(`the model does not serve ${path}`);
    }
  }

  /** Reads once the member has applied what was committed when a leader with a quorum confirmed the read. */
  #read(member: Member, reply: Reply, read: () => Buffer): void {
    let index: number | undefined;
    this.#wait(member, reply, () => {
      const leader = this.#leader;
      if (index === undefined && leader !== undefined && this.#reaches(member, leader) && this.#hasQuorum(leader)) {
        index = this.#lastIndex;
      }
      return index !== undefined && member.applied >= index;
    }, read);
  }

  /** Proposes a change, and answers once this member has applied it. */
  #propose(member: Member, reply: Reply, apply: () => Buffer): void {
    const proposal: Proposal = { apply };
    this.#after(this.#latencyMs(), () => {
      const leader = this.#leader;
      // A proposal that does not arrive is lost, and the request times out.
      if (leader === undefined || !this.#reaches(member, leader)) return;
      this.#pending.push(proposal);
      this.#after(2 * this.#latencyMs(), () => this.#commit(this.#pending.indexOf(proposal) + 1));
    });
    this.#wait(
      member,
      reply,
      () => proposal.index !== undefined && member.applied >= proposal.index,
      () => {
        if (proposal.outcome instanceof GrpcError) throw proposal.outcome;
        return proposal.outcome!;
      },
    );
  }

  #wait(member: Member, reply: Reply, isReady: () => boolean, answer: () => Buffer): void {
    const waiter: Waiter = {
      isReady,
      run: () => {
        if (!member.waiters.delete(waiter)) return;
        cancelTimer();
        try {
          reply(answer());
        } catch (error) {
          if (!(error instanceof GrpcError)) throw error;
          reply(error);
        }
      },
    };
    const cancelTimer = this.#after(REQUEST_TIMEOUT_MS, () => {
      if (member.waiters.delete(waiter)) reply(unavailable("etcdserver: request timed out"));
    });
    member.waiters.add(waiter);
    this.#after(this.#latencyMs(), () => this.#wake(member));
  }

  #wake(member: Member): void {
    for (const waiter of [...member.waiters]) if (waiter.isReady()) waiter.run();
  }

  get #lastIndex(): number {
    return this.#firstIndex + this.#views.length - 1;
  }

  /** Commits a number of pending proposals in their order, if the leader has a quorum. */
  #commit(count: number): void {
    if (this.#leader === undefined || !this.#hasQuorum(this.#leader)) return;
    for (const proposal of this.#pending.splice(0, count)) this.#append(proposal);
    this.#replicate();
  }

  #append(proposal: Proposal): void {
    const { revision } = this.#store.view;
    try {
      proposal.outcome = proposal.apply();
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      proposal.outcome = error;
    }
    this.#views.push(this.#store.view);
    proposal.index = this.#lastIndex;
    const { revision: now } = this.#store.view;
    for (const change of this.#store.changes("", ALL_KEYS, revision, now)) this.#onChange(change);
  }

  /** Commits a change that no client proposed, such as the end of a lease. */
  #commitOwn(apply: () => void): void {
    this.#pending.push({
      apply: () => {
        apply();
        return encodeModelHeader(this.#store.view.revision);
      },
    });
    this.#commit(this.#pending.length);
  }

  /** Makes every member that the leader reaches apply the committed entries, each after its delay. */
  #replicate(): void {
    const index = this.#lastIndex;
    for (const member of this.#members) {
      if (member.applied >= index) continue;
      this.#after(this.#random() * member.lagMs, () => {
        if (this.#leader !== undefined && this.#reaches(member, this.#leader)) this.#apply(member, index);
      });
    }
  }

  #apply(member: Member, index: number): void {
    // A member that is behind may apply several entries at once.
    const merges = this.#random() < 0.5;
    while (member.applied < index) {
      member.applied = merges ? index : member.applied + 1;
      const { revision, compacted } = member.view;
      member.view = this.#views[member.applied - this.#firstIndex]!;
      if (member.view.revision > revision) {
        for (const stream of member.streams.values()) this.#notify(member, stream);
      }
      if (member.view.compacted > compacted) this.#forget();
    }
    if (this.#views.length > 2_000) this.#forget();
    this.#wake(member);
  }

  /** Drops the history that every member has applied. */
  #forget(): void {
    const applied = Math.min(...this.#members.map((member) => member.applied));
    this.#views.splice(0, applied - this.#firstIndex);
    this.#firstIndex = applied;
    this.#store.forgetBefore(Math.min(...this.#members.map(({ view }) => view.compacted)));
  }

  #notify(member: Member, stream: Stream): void {
    const { revision } = member.view;
    for (const watcher of stream.watchers) {
      if (!watcher.isSynced || watcher.next > revision) continue;
      if (!stream.server.isFlowing()) {
        watcher.isSynced = false;
        continue;
      }
      const events = this.#store.changes(watcher.key, watcher.rangeEnd, watcher.next - 1, revision);
      watcher.next = revision + 1;
      if (events.length > 0) stream.server.send(encodeModelWatch({ revision, events }));
    }
  }

  #catchUp(member: Member, stream: Stream, watcher: Watcher): void {
    const { revision, compacted } = member.view;
    if (watcher.next < compacted) {
      stream.watchers.splice(stream.watchers.indexOf(watcher), 1);
      return stream.server.send(encodeModelWatch({ revision, compactRevision: compacted }));
    }
    watcher.isSynced = true;
    this.#notify(member, stream);
  }

  /** Updates the cluster after a member or a link has gone down or come back. */
  #settle(): void {
    if (!this.#isLeading() && !this.#isElecting) {
      this.#isElecting = true;
      this.#after(ELECTION_MS * (1 + this.#random()), () => this.#elect());
    }
    for (const member of this.#members) this.#followLeader(member);
    if (this.#isLeading()) this.#commit(this.#pending.length);
    for (const member of this.#members) this.#wake(member);
  }

  #isLeading(): boolean {
    return this.#leader !== undefined && this.#hasQuorum(this.#leader);
  }

  #elect(): void {
    this.#isElecting = false;
    if (this.#isLeading()) return;
    const candidates = this.#members.filter((member) => this.#hasQuorum(member));
    if (candidates.length > 0) this.#lead(candidates[this.#pick(candidates.length)]!);
    else this.#leader = undefined;
    for (const member of this.#members) this.#followLeader(member);
    for (const member of this.#members) this.#wake(member);
  }

  #lead(member: Member): void {
    this.#leader = member;
    this.#term++;
    // The new leader has some of the uncommitted proposals; the others are lost.
    const kept = this.#pick(this.#pending.length + 1);
    this.#pending.length = kept;
    this.#commit(kept);
    for (const id of this.#leases.keys()) this.#renew(id);
    this.#replicate();
  }

  /** Records whether a member has a leader; a member that has none for too long ends its streams. */
  #followLeader(member: Member): void {
    if (!member.isUp) return;
    const reachesLeader = () => this.#leader !== undefined && this.#reaches(member, this.#leader);
    if (reachesLeader()) {
      member.hasLeader = true;
      return this.#replicate();
    }
    const term = this.#term;
    this.#after(ELECTION_MS * (1 + this.#random()), () => {
      if (member.isUp && !reachesLeader()) member.hasLeader = false;
    });
    this.#after(STREAM_ELECTIONS * ELECTION_MS * (1 + this.#random()), () => {
      if (!member.isUp || reachesLeader() || member.hasLeader || term !== this.#term) return;
      for (const stream of member.streams.values()) stream.server.end(unavailable("etcdserver: no leader"));
      member.streams.clear();
    });
  }

  /** Starts the lifetime of a lease. A new leader starts it again. */
  #renew(id: bigint): void {
    const lease = this.#leases.get(id)!;
    lease.cancel();
    lease.cancel = this.#after(lease.ttlSeconds * 1000, () => {
      this.#commitOwn(() => {
        this.#leases.delete(id);
        this.#store.revoke(id);
      });
    });
  }

  #hasQuorum(member: Member): boolean {
    return this.#members.filter((other) => this.#reaches(member, other)).length > this.#members.length / 2;
  }

  #reaches(one: Member, other: Member): boolean {
    return one.isUp && other.isUp && (one === other || !this.isCut(one.name, other.name));
  }

  #linksOf(one: string, other?: string) {
    const ends = ({ client, member }: { readonly client: string; readonly member: Member }) => [client, member.name];
    return this.#links.filter((link) =>
      ends(link).includes(one) && (other === undefined || ends(link).includes(other))
    );
  }

  #find(name: string): Member {
    const member = this.#members.find((candidate) => candidate.name === name);
    if (member === undefined) throw new Error(`no member is called ${name}`);
    return member;
  }

  #latencyMs(): number {
    return this.#random() * LATENCY_MS;
  }

  #pick(count: number): number {
    return Math.floor(this.#random() * count);
  }
}

function toLinkName(one: string, other: string): string {
  return [one, other].sort().join(" ");
}

function unavailable(details: string): GrpcError {
  return new GrpcError(GRPC_STATUS.unavailable, details);
}
