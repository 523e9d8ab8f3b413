{{- /* Labels that select the pods of a role: (dict "role" ROLE). */}}
{{- define "tlsboot.selector" -}}
app.kubernetes.io/name: tlsboot
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{- define "tlsboot.labels" -}}
{{ include "tlsboot.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion }}
{{- end }}

{{- define "tlsboot.subjects" -}}
- kind: ServiceAccount
  name: {{ .account }}
  namespace: {{ .root.Release.Namespace }}
{{- end }}

{{- /* The Role and RoleBinding with which a role elects its leader: (dict "root" . "name" ROLE "account" ACCOUNT). */}}
{{- define "tlsboot.lease" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
rules:
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resourceNames: [{{ .account }}]
  resources: [leases]
  verbs: [get, update]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ .name }}
subjects:
{{ include "tlsboot.subjects" . }}
{{- end }}

{{- /* The Role and RoleBinding with which a signer reads which CAs the API trusts for clients. */}}
{{- define "tlsboot.client-ca" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ .name }}-client-ca
  namespace: kube-system
rules:
- apiGroups: [""]
  resourceNames: [extension-apiserver-authentication]
  resources: [configmaps]
  verbs: [get]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ .name }}-client-ca
  namespace: kube-system
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ .name }}-client-ca
subjects:
{{ include "tlsboot.subjects" . }}
{{- end }}

{{- /* The kubeconfig of all roles: the pod's own token, which the kubelet renews and the role reads again. */}}
{{- define "tlsboot.kubeconfig" -}}
apiVersion: v1
kind: Config
clusters:
- name: cluster
  cluster:
    server: {{ .Values.server }}
    certificate-authority: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt
users:
- name: pod
  user:
    tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token
contexts:
- name: pod
  context: { cluster: cluster, user: pod }
current-context: pod
{{- end }}

{{- /*
The files and pods of a role, and what protects both:
(dict "root" . "role" ROLE "account" ACCOUNT "args" ARGS "files" FILES "caSecret" SECRET). With "port" it is a server, all
of whose replicas work; otherwise one is elected.
*/}}
{{- define "tlsboot.workload" -}}
{{- $root := .root }}
{{- $values := $root.Values }}
{{- $port := get . "port" }}
{{- $name := printf "tlsboot-%s" .role }}
{{- $files := merge (dict "kubeconfig" (include "tlsboot.kubeconfig" $root)) .files }}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ $name }}-files
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "tlsboot.labels" . | nindent 4 }}
data:
{{- range $file, $text := $files }}
  {{ $file }}: |
{{ $text | trim | indent 4 }}
{{- end }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "tlsboot.labels" . | nindent 4 }}
spec:
  replicas: {{ $values.replicas }}
  selector:
    matchLabels: {{- include "tlsboot.selector" . | nindent 6 }}
  template:
    metadata:
      labels: {{- include "tlsboot.labels" . | nindent 8 }}
    spec:
      serviceAccountName: {{ .account }}
      priorityClassName: {{ $values.priorityClassName }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        runAsGroup: 65532
        # The kubelet gives the files of Secrets to root and to this group.
        fsGroup: 65532
        seccompProfile: { type: RuntimeDefault }
      containers:
      - name: {{ .role }}
        image: {{ $values.image.repository }}:{{ $values.image.tag | default $root.Chart.AppVersion }}
        imagePullPolicy: {{ $values.image.pullPolicy }}
        args:
        {{- range .args }}
        - {{ . }}
        {{- end }}
        - --kubeconfig=/etc/tlsboot/kubeconfig
        {{- if $port }}
        - --bind-address=0.0.0.0
        - --secure-port={{ $port }}
        {{- else }}
        - --leader-elect-resource-namespace={{ $root.Release.Namespace }}
        {{- end }}
        - --metrics-bind-address=:9443
        {{- if .caSecret }}
        - --cluster-signing-cert-file=/etc/tlsboot-ca/tls.crt
        - --cluster-signing-key-file=/etc/tlsboot-ca/tls.key
        {{- end }}
        ports:
        - { name: metrics, containerPort: 9443 }
        {{- if $port }}
        - { name: https, containerPort: {{ $port }} }
        {{- end }}
        livenessProbe:
          httpGet: { path: /healthz, port: metrics }
          periodSeconds: 20
          timeoutSeconds: 5
        readinessProbe:
          {{- if $port }}
          httpGet: { path: /readyz, port: https, scheme: HTTPS }
          {{- else }}
          httpGet: { path: /healthz, port: metrics }
          {{- end }}
          timeoutSeconds: 5
        resources: {{- toYaml $values.resources | nindent 10 }}
        securityContext:
          allowPrivilegeEscalation: false
          readOnlyRootFilesystem: true
          capabilities: { drop: [ALL] }
        volumeMounts:
        - { name: files, mountPath: /etc/tlsboot, readOnly: true }
        {{- if .caSecret }}
        - { name: ca, mountPath: /etc/tlsboot-ca, readOnly: true }
        {{- end }}
      volumes:
      - name: files
        configMap: { name: {{ $name }}-files }
      {{- if .caSecret }}
      - name: ca
        secret: { secretName: {{ .caSecret }}, defaultMode: 0440 }
      {{- end }}
      topologySpreadConstraints:
      - maxSkew: 1
        topologyKey: kubernetes.io/hostname
        whenUnsatisfiable: ScheduleAnyway
        labelSelector:
          matchLabels: {{- include "tlsboot.selector" . | nindent 12 }}
      {{- with $values.imagePullSecrets }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "tlsboot.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "tlsboot.selector" . | nindent 6 }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "tlsboot.labels" . | nindent 4 }}
spec:
  clusterIP: None
  selector: {{- include "tlsboot.selector" . | nindent 4 }}
  ports:
  - { name: metrics, port: 9443, targetPort: metrics }
{{- if $values.networkPolicy.enabled }}
---
# In: probes and Prometheus{{ if $port }}, and machines{{ end }}. Out: the names of the cluster, and the API, whose address a NetworkPolicy cannot name.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "tlsboot.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "tlsboot.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
  - ports:
    - { protocol: TCP, port: metrics }
    {{- with $values.networkPolicy.metricsFrom }}
    from: {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if $port }}
  - ports:
    - { protocol: TCP, port: https }
  {{- end }}
  egress:
  - ports:
    - { protocol: UDP, port: 53 }
    - { protocol: TCP, port: 53 }
    {{- range $values.networkPolicy.apiPorts }}
    - { protocol: TCP, port: {{ . }} }
    {{- end }}
{{- end }}
{{- end }}
