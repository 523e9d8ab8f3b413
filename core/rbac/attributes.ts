/**
 * The input of an authorizer (Kubernetes `authorizer.Attributes`): a resource request or a path request.
 * Empty strings mean "not given", as on the wire of a SubjectAccessReview.
 */
import type { FieldRequirement } from "../kube/selectors.ts";

/** A resource request or a path request. */
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

/** An authorizer's decision. The first allow or deny of a chain decides; without any opinion the request is refused. */
export interface Decision {
  readonly kind: "allow" | "deny" | "noOpinion";
  /** The authorizer's own text, often empty. */
  readonly reason: string;
}
