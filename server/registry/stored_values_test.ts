import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClusterTrustBundle } from "../../core/kube/kinds/certificates_v1.ts";
import { decodeEnvelope, encodeEnvelope } from "../../core/kube/wire/protobuf_envelope.ts";
import { PLAIN_RESOURCES } from "./resources.ts";
import { createStoredValues } from "./stored_values.ts";

const values = createStoredValues(PLAIN_RESOURCES);

test("createStoredValues() writes trust bundles as v1beta1, as kube-apiserver 1.37 does, and reads v1 too", () => {
  const key = "/registry/clustertrustbundles/a";
  const bundle: ClusterTrustBundle = { metadata: { name: "a" }, spec: { trustBundle: "PEM" } };
  const written = values.encode(key, bundle);
  const { apiVersion, kind, raw } = decodeEnvelope(written);
  assert.deepEqual([apiVersion, kind], ["certificates.k8s.io/v1beta1", "ClusterTrustBundle"]);
  assert.deepEqual(values.decode(key, written), bundle);
  assert.deepEqual(values.decode(key, encodeEnvelope("certificates.k8s.io/v1", kind, raw)), bundle);
  assert.throws(
    () => values.decode(key, encodeEnvelope("certificates.k8s.io/v2", kind, raw)),
    /the value is a certificates.k8s.io\/v2 ClusterTrustBundle, not a certificates.k8s.io\/v1beta1 ClusterTrustBundle/,
  );
});
