/** YAML as Kubernetes reads it and as kubectl prints it. */
export { formatYaml } from "./yaml_format.ts";
export { parseYaml } from "./yaml_parse.ts";
