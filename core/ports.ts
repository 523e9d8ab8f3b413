/**
 * The ports: small interfaces for everything that core and its shells need from outside. Server, client and cli implement
 * them, and `instance` wires them together.
 */
import type { SubjectAccessReviewSpec } from "./kube/kinds/authorization_v1.ts";
import type { CertificateSigningRequest } from "./kube/kinds/certificates_v1.ts";
import type { Lease } from "./kube/kinds/nodes.ts";
import type { KubeObject } from "./kube/meta.ts";

/**
 * Time of two kinds: the wall clock, which users and NTP may set, for validity, expiry and timestamps; and elapsed time,
 * which never goes back, for durations such as pauses, limits and rates.
 */
export interface Clock {
  now(): Date;
  /** Resolves at the deadline by the wall clock, even if the machine slept; rejects with `signal.reason`. */
  sleepUntil(deadline: Date, signal: AbortSignal): Promise<void>;
  /** Milliseconds since an arbitrary moment, independent of the wall clock. */
  elapsedMs(): number;
  /** Resolves after a duration, independent of the wall clock; rejects with `signal.reason`. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** A source of randomness that adapters provide. */
export interface Random {
  /** Returns bytes from a cryptographically strong source. */
  bytes(length: number): Uint8Array<ArrayBuffer>;
  /** Returns a number that is uniform in [0, 1), for jitter. */
  float(): number;
}

/** The fields of a log line, which never contain keys, tokens or authorization headers. */
export type LogFields = Readonly<Record<string, unknown>>;

/** A structured log with constant messages and variables as fields. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds these fields to every line. */
  with(fields: LogFields): Logger;
}

/** One HTTP request to a Kubernetes API. */
export interface TransportRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "HEAD";
  /** Path and query, such as `/apis/certificates.k8s.io/v1/certificatesigningrequests?limit=500`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The value that is sent as JSON. A server in the same process gets the value itself. */
  readonly body?: unknown;
}

/** The response, whose body is a stream because of watches. */
export interface TransportResponse {
  readonly status: number;
  /** The headers by lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: AsyncIterable<Uint8Array>;
  /** The object in the body, from a server in the same process. The server keeps it, so it must not be modified. */
  readonly value?: unknown;
}

/** A transport to a Kubernetes API: over TLS to a remote one, or within the process. */
export interface Transport {
  /** Throws AppError `unreachable` (retryable), `tls_untrusted`, or `signal.reason`. */
  send(request: TransportRequest, signal: AbortSignal): Promise<TransportResponse>;
}

/**
 * A change that `ObjectChanges` delivers. In the process of the server, `object` is read from the store at each access,
 * so that a map of changes takes little memory.
 */
export type ObjectChange<T> =
  | { readonly kind: "changed"; readonly object: T }
  /** The object has at least the metadata that identifies it. */
  | { readonly kind: "deleted"; readonly object: KubeObject }
  /** All objects that existed at the start have been delivered; sent once per connection. */
  | { readonly kind: "synced" };

/** The changes of the objects of one kind, at an API or in the storage of the same process. */
export interface ObjectChanges<T extends KubeObject> {
  /**
   * Delivers every existing object, then `synced`, then each change. It reconnects automatically and delivers missed
   * deletions after the next list. It ends only by the signal and rejects with its reason.
   */
  changes(signal: AbortSignal): AsyncIterable<ObjectChange<T>>;
}

/** The preconditions of a deletion, and what happens to the dependents of the object. */
export interface DeletionOptions {
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly propagationPolicy?: "Background" | "Foreground" | "Orphan";
}

/**
 * Objects of one kind (in one namespace, or cluster-scoped) at a Kubernetes API, in the process or remote. Errors: AppError
 * `not_found`, `conflict`, `already_exists`, `access_denied`, `unauthorized`, `invalid`, `api_error`, `unreachable`.
 */
export interface ObjectStore<T extends KubeObject> extends ObjectChanges<T> {
  /** Returns undefined when there is no object of that name. */
  get(name: string, signal: AbortSignal): Promise<T | undefined>;
  list(signal: AbortSignal): Promise<readonly T[]>;
  create(object: T, signal: AbortSignal): Promise<T>;
  /** Fails with AppError `conflict` if `metadata.resourceVersion` is not the current one. */
  update(object: T, signal: AbortSignal, subresource?: string): Promise<T>;
  /**
   * Deletes an object. If `uid` or `resourceVersion` is given and differs, it fails with AppError `conflict`. A missing
   * object is AppError `not_found`.
   */
  delete(name: string, signal: AbortSignal, options?: DeletionOptions): Promise<void>;
}

/** The CSRs, as signer, approver and cleaner see them. */
export type CsrStore = ObjectStore<CertificateSigningRequest>;

/** The Leases of leader election. */
export type LeaseStore = ObjectStore<Lease>;

/** Observes the queue of a controller, for metrics. */
export interface QueueObserver {
  added(name: string): void;
  taken(name: string): void;
  done(name: string): void;
  retried(name: string): void;
}

/** Checks with the API whether a subject may do something (SubjectAccessReview). */
export interface AccessReviewer {
  isAllowed(spec: SubjectAccessReviewSpec, signal: AbortSignal): Promise<boolean>;
}

/** The private key of a CA, which may be in an encrypted file, a helper program or an HSM. */
export interface CaKey {
  /** Returns the public key as DER of SubjectPublicKeyInfo. */
  publicKey(): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Signs `data` (hashed by the implementation according to `algorithm`): ECDSA in ASN.1 DER form,
   * RSA in PKCS#1 v1.5, Ed25519 and ML-DSA raw.
   */
  sign(data: Uint8Array<ArrayBuffer>, algorithm: SignatureAlgorithm): Promise<Uint8Array<ArrayBuffer>>;
}

/** The signature algorithms a CA uses, chosen by its key (Go `x509.CreateCertificate`). */
export type SignatureAlgorithm =
  | "SHA256-RSA"
  | "ECDSA-SHA256"
  | "ECDSA-SHA384"
  | "ECDSA-SHA512"
  | "Ed25519"
  | "ML-DSA-44"
  | "ML-DSA-65"
  | "ML-DSA-87";
