/** Strategies for resources whose fields clients may set freely. */
import type { FieldError } from "../../core/kube/field_error.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { NameCheck } from "../../core/kube/names.ts";
import type { Strategy } from "./resource.ts";

/** The rules that differ between plain resources. */
export interface PlainRules<T extends KubeObject> {
  readonly validateName: NameCheck;
  validateCreate?(object: T): readonly FieldError[];
  validateBeforeMetadata?(object: T): readonly FieldError[];
  validateUpdate?(object: T, stored: T): readonly FieldError[];
  applyDefaults?(object: T): T;
  /** Restores what only the server sets. */
  prepareForCreate?(object: T): T;
  prepareForUpdate?(object: T, stored: T): T;
  /** Returns warnings for the client about an accepted object. */
  warn?(object: T, stored: T | undefined): readonly string[];
  readonly anyMetadata?: true;
  readonly anyFinalizer?: true;
  readonly checksGenerateName?: true;
  readonly createOnUpdate?: boolean;
  readonly unconditionalUpdate?: boolean;
  readonly resetFields?: readonly string[];
}

/** Creates a strategy that stores the object as it was sent. */
export function createPlainStrategy<T extends KubeObject>(rules: PlainRules<T>): Strategy<T> {
  return {
    ...(rules.applyDefaults === undefined ? {} : { applyDefaults: rules.applyDefaults }),
    ...(rules.validateBeforeMetadata === undefined ? {} : { validateBeforeMetadata: rules.validateBeforeMetadata }),
    ...(rules.anyMetadata === undefined ? {} : { anyMetadata: rules.anyMetadata }),
    ...(rules.checksGenerateName === undefined ? {} : { checksGenerateName: rules.checksGenerateName }),
    ...(rules.anyFinalizer === undefined ? {} : { anyFinalizer: rules.anyFinalizer }),
    ...(rules.warn === undefined ? {} : { warn: rules.warn }),
    prepareForCreate: (object) => rules.prepareForCreate?.(object) ?? object,
    validateCreate: (object) => rules.validateCreate?.(object) ?? [],
    validateName: rules.validateName,
    prepareForUpdate: (object, stored) => rules.prepareForUpdate?.(object, stored) ?? object,
    validateUpdate: (object, stored) => rules.validateUpdate?.(object, stored) ?? [],
    createOnUpdate: rules.createOnUpdate ?? false,
    unconditionalUpdate: rules.unconditionalUpdate ?? true,
    resetFields: rules.resetFields ?? [],
  };
}
