/** The kinds of patches that the API accepts (apimachinery `pkg/types/patch.go`). */

/** The types of patches; `apply` is server-side apply. */
export type PatchType = "json" | "merge" | "strategic" | "apply";

/** The types of patches by media type, in the order in which kube-apiserver lists them. */
export const PATCH_MEDIA_TYPES: Readonly<Record<string, PatchType>> = {
  "application/json-patch+json": "json",
  "application/merge-patch+json": "merge",
  "application/strategic-merge-patch+json": "strategic",
  "application/apply-patch+yaml": "apply",
};
