/**
 * Pods, as far as admission reads them: they run elsewhere, and a kube-apiserver that shares the store writes them
 * (decision 38). The description is incomplete, so nothing may be encoded by it.
 */
import type { Kind, MessageSchema } from "../schema.ts";
import { list, map, message, STRING, TIME } from "./fields.ts";

/** Describes the parts of the kind `Pod` of core `v1` that admission reads. */
export const podKind: Kind = {
  group: "",
  version: "v1",
  kind: "Pod",
  listKind: "PodList",
  plural: "pods",
  singular: "pod",
  shortNames: ["po"],
  categories: ["all"],
  namespaced: true,
  schema: {
    name: "io.k8s.api.core.v1.Pod",
    description: "Containers on a node.",
    fields: {
      metadata: { number: 1, type: message(() => metadataSchema), presence: "always" },
      spec: { number: 2, type: message(() => podSpecSchema), presence: "always" },
    },
  },
};

const metadataSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
  fields: {
    name: { number: 1, type: STRING, presence: "omitempty" },
    namespace: { number: 3, type: STRING, presence: "omitempty" },
    uid: { number: 5, type: STRING, presence: "omitempty" },
    deletionTimestamp: { number: 9, type: TIME, presence: "optional" },
    annotations: { number: 12, type: map(STRING), presence: "omitempty" },
  },
};

const podSpecSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.PodSpec",
  fields: {
    volumes: { number: 1, type: list(message(() => volumeSchema)), presence: "omitempty" },
    serviceAccountName: { number: 8, type: STRING, presence: "omitempty" },
    nodeName: { number: 10, type: STRING, presence: "omitempty" },
  },
};

const volumeSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.Volume",
  fields: {
    volumeSource: { number: 2, type: message(() => volumeSourceSchema), presence: "optional" },
    // JSON has the fields of the source in the volume. Protobuf has no field of this number here.
    projected: { number: 26, type: message(() => projectedSchema), presence: "optional" },
  },
};

const volumeSourceSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.VolumeSource",
  fields: { projected: { number: 26, type: message(() => projectedSchema), presence: "optional" } },
};

const projectedSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.ProjectedVolumeSource",
  fields: { sources: { number: 1, type: list(message(() => projectionSchema)), presence: "omitempty" } },
};

const projectionSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.VolumeProjection",
  fields: { podCertificate: { number: 6, type: message(() => podCertificateSchema), presence: "optional" } },
};

const podCertificateSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.PodCertificateProjection",
  fields: { signerName: { number: 1, type: STRING, presence: "omitempty" } },
};
