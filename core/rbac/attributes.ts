/**
 * The input of an authorizer (Kubernetes `authorizer.Attributes`): a resource request or a path request, also that of an
 * access review (`pkg/registry/authorization/util/helpers.go`). Empty strings mean "not given", as on the wire of a
 * SubjectAccessReview.
 */
import { type FieldRequirement, parseFieldSelector, parseLabelSelector } from "../kube/selectors.ts";
import type {
  ResourceAttributesSpec,
  SelectorAttributes,
  SubjectAccessReviewSpec,
} from "../kube/kinds/authorization_v1.ts";

/** The request to authorize: for a resource or for a path. */
export type Attributes = ResourceAttributes | PathAttributes;

/** A request for a Kubernetes resource. */
export interface ResourceAttributes {
  readonly kind: "resource";
  readonly verb: string;
  readonly apiGroup: string;
  readonly apiVersion: string;
  readonly resource: string;
  readonly subresource: string;
  readonly name: string;
  readonly namespace: string;
  /** The field selector of a list, a watch or a deletion of a collection; absent without one. */
  readonly fieldSelector?: readonly FieldRequirement[];
}

/** A request for anything else: `/version`, `/healthz`, discovery. */
export interface PathAttributes {
  readonly kind: "path";
  readonly verb: string;
  readonly path: string;
}

/** An authorizer's decision. The first allow or deny of a chain decides; if there is none, the request is refused. */
export interface Decision {
  readonly kind: "allow" | "deny" | "noOpinion";
  /** The authorizer's own text, often empty. */
  readonly reason: string;
}

interface ReviewAttributes {
  readonly attributes: Attributes;
  /** The malformed parts of the review, which are ignored; empty when there are none. */
  readonly evaluationError: string;
}

const LABEL_OPERATORS: ReadonlySet<string> = new Set(["In", "NotIn", "Exists", "DoesNotExist"]);

/** The valid requirements of a selector. */
interface ReadSelector<T> {
  readonly requirements: readonly T[];
  readonly hasFault: boolean;
}

/** Converts a valid spec. Ignoring a part of a selector is safe, because it only widens the request. */
export function toReviewAttributes(spec: SubjectAccessReviewSpec): ReviewAttributes {
  const path = spec.nonResourceAttributes;
  if (path !== undefined) {
    return { attributes: { kind: "path", verb: path.verb ?? "", path: path.path ?? "" }, evaluationError: "" };
  }
  const resource = spec.resourceAttributes ?? {};
  const fields = readFieldSelector(resource.fieldSelector);
  const labels = readLabelSelector(resource.labelSelector);
  const faults = [...describeFault("fieldSelector", fields), ...describeFault("labelSelector", labels)];
  return { attributes: toAttributes(resource, fields.requirements), evaluationError: faults.join("; ") };
}

function toAttributes(
  resource: ResourceAttributesSpec,
  fieldSelector: readonly FieldRequirement[],
): Attributes {
  return {
    kind: "resource",
    verb: resource.verb ?? "",
    apiGroup: resource.group ?? "",
    apiVersion: resource.version ?? "",
    resource: resource.resource ?? "",
    subresource: resource.subresource ?? "",
    name: resource.name ?? "",
    namespace: resource.namespace ?? "",
    ...(fieldSelector.length === 0 ? {} : { fieldSelector }),
  };
}

function readFieldSelector(selector: SelectorAttributes | undefined): ReadSelector<FieldRequirement> {
  const conditions = selector?.requirements ?? [];
  if (conditions.length === 0) return readText(selector?.rawSelector, parseFieldSelector);
  // Field selectors support neither several values nor existence.
  const requirements = conditions.flatMap(({ key, operator, values = [] }): readonly FieldRequirement[] => {
    const [value] = values;
    if (values.length !== 1 || value === undefined || (operator !== "In" && operator !== "NotIn")) return [];
    return [{ field: key, operator: operator === "In" ? "=" : "!=", value }];
  });
  return { requirements, hasFault: requirements.length < conditions.length };
}

/** Checks a label selector. No authorizer here uses labels, so only its validity counts. */
function readLabelSelector(selector: SelectorAttributes | undefined): ReadSelector<unknown> {
  const conditions = selector?.requirements ?? [];
  if (conditions.length === 0) return readText(selector?.rawSelector, parseLabelSelector);
  const requirements = conditions.filter(({ operator }) => LABEL_OPERATORS.has(operator));
  return { requirements, hasFault: requirements.length < conditions.length };
}

function readText<T>(
  text: string | undefined,
  parse: (text: string) => { readonly ok: true; readonly value: readonly T[] } | { readonly ok: false },
): ReadSelector<T> {
  const parsed = parse(text ?? "");
  return parsed.ok ? { requirements: parsed.value, hasFault: false } : { requirements: [], hasFault: true };
}

function describeFault(name: string, { requirements, hasFault }: ReadSelector<unknown>): readonly string[] {
  if (!hasFault) return [];
  const partially = requirements.length === 0 ? "" : "partially ";
  return [`spec.resourceAttributes.${name} ${partially}ignored due to parse error`];
}
