/** The kinds of the core group that TLS bootstrapping needs (staging `k8s.io/api/core/v1/types.go`). */
import type { KubeObject } from "./meta.ts";

/** Confidential data; bootstrap tokens are Secrets of type `bootstrap.kubernetes.io/token`. */
export interface SecretObject extends KubeObject {
  readonly immutable?: boolean;
  /** The values are base64 text. */
  readonly data?: Readonly<Record<string, string>>;
  /** Values as plain text, which the server moves into `data`. */
  readonly stringData?: Readonly<Record<string, string>>;
  readonly type?: string;
}

/** Values that are not confidential, under short keys. */
export interface ConfigMap extends KubeObject {
  readonly immutable?: boolean;
  readonly data?: Readonly<Record<string, string>>;
  /** The values are base64 text. */
  readonly binaryData?: Readonly<Record<string, string>>;
}

/** A scope for the names of other objects. */
export interface Namespace extends KubeObject {
  readonly spec: { readonly finalizers?: readonly string[] };
  readonly status: {
    readonly phase?: string;
    readonly conditions?: readonly NamespaceCondition[];
  };
}

/** One observation about the deletion of a Namespace. */
export interface NamespaceCondition {
  readonly type: string;
  readonly status: string;
  readonly lastTransitionTime?: string | null;
  readonly reason?: string;
  readonly message?: string;
}

/** An identity for programs that run in pods. */
export interface ServiceAccount extends KubeObject {
  readonly secrets?: readonly ObjectReference[];
  readonly imagePullSecrets?: readonly { readonly name?: string }[];
  readonly automountServiceAccountToken?: boolean;
}

/** A report of something that happened to an object. */
export interface Event extends KubeObject {
  readonly involvedObject: ObjectReference;
  readonly reason?: string;
  readonly message?: string;
  readonly source: { readonly component?: string; readonly host?: string };
  readonly firstTimestamp: string | null;
  readonly lastTimestamp: string | null;
  readonly count?: number;
  readonly type?: string;
  readonly eventTime: string | null;
  readonly series?: { readonly count?: number; readonly lastObservedTime?: string | null };
  readonly action?: string;
  readonly related?: ObjectReference;
  readonly reportingComponent: string;
  readonly reportingInstance: string;
}

/** Points at an object, or at a part of it. */
export interface ObjectReference {
  readonly kind?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly uid?: string;
  readonly apiVersion?: string;
  readonly resourceVersion?: string;
  readonly fieldPath?: string;
}

/** The parts of a Pod that decide whether its node may request a certificate for it. */
export interface Pod extends KubeObject {
  readonly spec: {
    readonly nodeName?: string;
    readonly serviceAccountName?: string;
    readonly volumes?: readonly PodVolume[];
  };
}

/** A volume of a pod. Its source is in `volumeSource` in protobuf and in the volume itself in JSON. */
export interface PodVolume {
  readonly volumeSource?: { readonly projected?: ProjectedVolume };
  readonly projected?: ProjectedVolume;
}

/** A volume that combines several sources, among them certificates. */
export interface ProjectedVolume {
  readonly sources?: readonly { readonly podCertificate?: { readonly signerName?: string } }[];
}
