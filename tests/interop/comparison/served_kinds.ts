/** The Kubernetes kinds that tlsboot serves, from its own code; other kinds in a document are not compared. */
import { tokenRequestKind } from "../../../core/kube/kinds/mod.ts";
import type { Kind } from "../../../core/kube/schema.ts";
import { TLSBOOT_GROUP } from "../../../core/kube/kinds/constants.ts";
import { RecordedCertificates, RevocationIndex } from "../../../core/revocation/revocation_index.ts";
import type { Logger } from "../../../core/ports.ts";
import type { Authorizer, RbacSource } from "../../../server/authz/authorizer.ts";
import { createHealthChecks } from "../../../server/http/health.ts";
import { READ_VERBS } from "../../../server/registry/resource.ts";
import { createResources } from "../../../server/registry/resources.ts";
import { createReviews } from "../../../server/registry/reviews.ts";

const unused = (): never => {
  throw new Error("listing the kinds must not use this");
};
const authorizer: Authorizer = { authorize: unused, rulesFor: unused };
const logger: Logger = { debug: unused, info: unused, warn: unused, error: unused, with: unused };
const rbac: RbacSource = { objects: unused, [Symbol.dispose]: unused };

const revocations = { index: new RevocationIndex(), records: new RecordedCertificates() };
const storage = { get: unused, catchUp: unused };

const issued = { name: "token", kind: tokenRequestKind, applyDefaults: unused, answer: unused };
const visible = createResources({
  authorizer,
  logger,
  rbac,
  revocations,
  storage,
  clientCas: unused,
  serviceAccountToken: issued,
}).filter(({ isHidden, kind }) => isHidden !== true && kind.group !== TLSBOOT_GROUP);
const reviews = createReviews({ authorizer, authenticate: unused, apiAudiences: [] });
const keys = [
  ...visible.flatMap(({ kind: { group, version, plural }, subresources = [], postedSubresources = [] }) => [
    `${group}/${version}/${plural}`,
    ...[...subresources, ...postedSubresources].map(({ name }) => `${group}/${version}/${plural}/${name}`),
  ]),
  ...reviews.map(({ kind: { group, version, plural } }) => `${group}/${version}/${plural}`),
];

/** A served kind, with its selectable fields and subresources. */
export interface ServedKind {
  readonly kind: Kind;
  readonly selectableFields: readonly string[];
  readonly subresources: readonly { readonly name: string }[];
}

/** Every kind that discovery lists and that can be written, the reviews last. */
export const SERVED_KINDS: readonly ServedKind[] = [
  ...visible.filter(({ verbs }) => verbs !== READ_VERBS).map((
    { kind, selectableFields = [], subresources = [] },
  ) => ({
    kind,
    selectableFields,
    subresources,
  })),
  ...reviews.map(({ kind }) => ({ kind, selectableFields: [], subresources: [] })),
];
/** `group/version/resource` and `group/version/resource/subresource`; the core group is empty. */
export const SERVED_RESOURCES: ReadonlySet<string> = new Set(keys);
/** The resources that are read-only in tlsboot but not in kube-apiserver. Only reading them is compared. */
export const READ_ONLY_RESOURCES: ReadonlySet<string> = new Set(
  visible.filter(({ verbs }) => verbs === READ_VERBS).map(({ kind: { group, version, plural } }) =>
    `${group}/${version}/${plural}`
  ),
);
/** The API versions of the served kinds, as `group/version`. */
export const SERVED_VERSIONS: ReadonlySet<string> = new Set(keys.map((key) => key.split("/").slice(0, 2).join("/")));
export const SERVED_GROUPS: ReadonlySet<string> = new Set(keys.map((key) => key.split("/")[0]!));
export const SERVED_CHECKS: ReadonlySet<string> = new Set(
  createHealthChecks({ storage: { health: unused }, stopping: new AbortController().signal }).map(({ name }) => name),
);
