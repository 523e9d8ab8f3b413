/** Selectors as parts of objects (apimachinery `pkg/apis/meta/v1/types.go`). */
import type { MessageSchema } from "../schema.ts";
import { list, map, message, STRING } from "./_fields.ts";

/** A choice of objects by label; all conditions must hold. */
export const labelSelectorSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector",
  description: "A choice of objects by label; all conditions must hold.",
  mapType: "atomic",
  fields: {
    matchLabels: {
      number: 1,
      type: map(STRING),
      presence: "omitempty",
      description: "Labels that must be present with these values.",
    },
    matchExpressions: {
      number: 2,
      type: list(message(() => labelSelectorRequirementSchema)),
      presence: "omitempty",
      listType: "atomic",
      description: "Further conditions on labels.",
    },
  },
};

/** One condition on a label. */
export const labelSelectorRequirementSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelectorRequirement",
  description: "One condition on a label.",
  fields: {
    key: { number: 1, type: STRING, presence: "always", required: true, description: "Label the condition is about." },
    operator: {
      number: 2,
      type: STRING,
      presence: "always",
      required: true,
      goType: "v1.LabelSelectorOperator",
      description: "In, NotIn, Exists or DoesNotExist.",
    },
    values: {
      number: 3,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Values for In and NotIn; empty otherwise.",
    },
  },
};

/** One condition on a field. */
export const fieldSelectorRequirementSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.FieldSelectorRequirement",
  description: "One condition on a field.",
  fields: {
    key: { number: 1, type: STRING, presence: "always", required: true, description: "Path of the field." },
    operator: {
      number: 2,
      type: STRING,
      presence: "always",
      required: true,
      goType: "v1.FieldSelectorOperator",
      description: "In, NotIn, Exists or DoesNotExist.",
    },
    values: {
      number: 3,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Values for In and NotIn; empty otherwise.",
    },
  },
};
