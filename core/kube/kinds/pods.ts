/**
 * Pods, as far as admission reads them: they run elsewhere, and a kube-apiserver that shares the store writes them
 * (decision 38). The description is incomplete, so nothing may be encoded by it.
 */
import type { KubeObject } from "../meta.ts";
import type { Kind } from "../schema.ts";
import { describeVersion, namespaced } from "./kind.ts";
import { always, describeMessages, list, map, omitempty, optional, STRING, TIME } from "./notation.ts";

/** A volume of a pod. Its source is in `volumeSource` in protobuf and in the volume itself in JSON. */
export interface PodVolume {
  readonly volumeSource?: { readonly projected?: ProjectedVolume };
  readonly projected?: ProjectedVolume;
}

/** A volume that combines several sources, among them certificates. */
export interface ProjectedVolume {
  readonly sources?: readonly { readonly podCertificate?: { readonly signerName?: string } }[];
}

const { kind, message } = describeVersion("", "v1", "io.k8s.api.core.v1");

const metadata = describeMessages("io.k8s.apimachinery.pkg.apis.meta.v1").message("ObjectMeta", "Identity of a pod.", {
  name: omitempty(1, STRING),
  namespace: omitempty(3, STRING),
  uid: omitempty(5, STRING),
  deletionTimestamp: optional(9, TIME),
  annotations: omitempty(12, map(STRING)),
});

const podCertificate = message("PodCertificateProjection", "A certificate for a pod.", {
  signerName: omitempty(1, STRING),
});

const projection = message("VolumeProjection", "One source of a projected volume.", {
  podCertificate: optional(6, podCertificate),
});

const projected = message("ProjectedVolumeSource", "A volume of several sources.", {
  sources: omitempty(1, list(projection)),
});

const volumeSource = message("VolumeSource", "The source of a volume.", {
  projected: optional(26, projected),
});

const volume = message("Volume", "A volume of a pod.", {
  volumeSource: optional(2, volumeSource),
  // JSON has the fields of the source in the volume. Protobuf has no field of this number here.
  projected: optional(26, projected),
});

const podSpec = message("PodSpec", "The node, the service account and the volumes of a pod.", {
  volumes: omitempty(1, list(volume)),
  serviceAccountName: omitempty(8, STRING),
  nodeName: omitempty(10, STRING),
});

/** The parts of a Pod that decide whether its node may request a certificate for it. */
export interface Pod extends KubeObject {
  readonly spec: {
    readonly nodeName?: string;
    readonly serviceAccountName?: string;
    readonly volumes?: readonly PodVolume[];
  };
}

/** Describes the parts of the kind `Pod` of core `v1` that admission reads. */
export const podKind: Kind = kind<Pod>("Pod", { ...namespaced("po"), categories: ["all"] }, "Containers on a node.", {
  metadata: always(1, metadata),
  spec: always(2, podSpec),
});
