/**
 * Admission: after authorization and decoding, before the object is stored, plugins may change or refuse a write
 * (`apiserver/pkg/admission`). First every plugin's mutating phase, later (after validation) every validating one.
 */
import type { KubeObject } from "../../core/kube/meta.ts";
import type { Kind } from "../../core/kube/schema.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import type { Write } from "../storage/storage.ts";

/** One write as admission sees it. */
export interface AdmissionRequest {
  readonly operation: "CREATE" | "UPDATE" | "DELETE";
  readonly kind: Kind;
  /** Empty for the main resource. */
  readonly subresource: string;
  readonly name: string;
  /** The namespace; empty for cluster-scoped kinds. */
  readonly namespace: string;
  readonly user: UserInfo;
  /** The new object; absent for DELETE. */
  readonly object?: KubeObject;
  /** The stored object; absent for CREATE. */
  readonly oldObject?: KubeObject;
  readonly onWarning?: ((text: string) => void) | undefined;
  /** The address of the client without its port. */
  readonly address?: string | undefined;
  /**
   * Adds a write to the transaction that creates the object. If the write is no longer possible by then, the whole
   * creation is prepared and admitted again.
   */
  readonly alsoWrite?: (write: Write) => void;
}

/** A write that carries an object. */
export type MutatingRequest = AdmissionRequest & { readonly object: KubeObject };

/** A refusal: 403 `<resource> "<name>" is forbidden: <message>`. */
export interface Refusal {
  readonly message: string;
}

/** The outcome of the mutating phase. */
export type Mutation = { readonly object: KubeObject } | Refusal;

/** One admission plugin. It may also throw a StatusError where Kubernetes answers something other than 403. */
export interface AdmissionPlugin {
  readonly name: string;
  /** The kinds whose writes the plugin sees, as the same values that `core/kube/kinds` exports; absent for all kinds. */
  readonly kinds?: readonly Kind[];
  /** Undefined leaves the object as it is. */
  mutate?(request: MutatingRequest): Promise<Mutation | undefined> | Mutation | undefined;
  validate?(request: AdmissionRequest): Promise<Refusal | undefined> | Refusal | undefined;
}

/** Runs all plugins in their order. */
export interface Admission {
  /** Returns the object as the plugins changed it. DELETE has no mutating phase here. */
  mutate(request: MutatingRequest): Promise<Mutation>;
  /** Returns the first refusal, or undefined when every plugin admits the request. */
  validate(request: AdmissionRequest): Promise<Refusal | undefined>;
}

/** Runs plugins one after the other; the first refusal ends the phase. */
export function createAdmission(plugins: readonly AdmissionPlugin[]): Admission {
  return {
    async mutate(request) {
      let { object } = request;
      for (const plugin of plugins) {
        if (plugin.kinds?.includes(request.kind) === false) continue;
        const answer = plugin.mutate?.({ ...request, object });
        const change = answer instanceof Promise ? await answer : answer;
        if (change === undefined) continue;
        if ("message" in change) return change;
        object = change.object;
      }
      return { object };
    },
    async validate(request) {
      for (const plugin of plugins) {
        if (plugin.kinds?.includes(request.kind) === false) continue;
        const answer = plugin.validate?.(request);
        const refusal = answer instanceof Promise ? await answer : answer;
        if (refusal !== undefined) return refusal;
      }
      return undefined;
    },
  };
}
