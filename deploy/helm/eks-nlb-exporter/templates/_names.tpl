{{- define "nlb.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "nlb.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 57 | trimSuffix "-" -}}
{{- else if contains (include "nlb.name" .) .Release.Name -}}
{{- .Release.Name | trunc 57 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "nlb.name" .) | trunc 57 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "nlb.selector" -}}
app.kubernetes.io/name: {{ include "nlb.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "nlb.labels" -}}
{{ include "nlb.selector" . }}
app.kubernetes.io/component: exporter
app.kubernetes.io/part-of: eks-nlb-exporter
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* What the values say wins over what the chart would say; the checksums are nobody else's. */}}
{{- define "nlb.podAnnotations" -}}
{{- $own := dict "checksum/config" (toYaml .Values.config | sha256sum) -}}
{{- with include "nlb.webConfig" . -}}
{{- $_ := set $own "checksum/web" (. | sha256sum) -}}
{{- end -}}
{{- $scrape := dict -}}
{{- if .Values.scrapeAnnotations -}}
{{- $scrape = dict "prometheus.io/scrape" "true" "prometheus.io/port" "10669" "prometheus.io/path" "/metrics" -}}
{{- if eq (include "nlb.scheme" .) "https" -}}
{{- $_ := set $scrape "prometheus.io/scheme" "https" -}}
{{- end -}}
{{- end -}}
{{- toYaml (mergeOverwrite $scrape .Values.podAnnotations $own) -}}
{{- end -}}

{{- define "nlb.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "nlb.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "nlb.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "nlb.stateName" -}}
{{- default (printf "%s-state" (include "nlb.fullname" .)) .Values.state.configMap -}}
{{- end -}}
