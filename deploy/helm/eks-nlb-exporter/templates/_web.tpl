{{- /* How the web side is protected: what the chart writes, or what somebody else's Secret holds. */}}

{{- define "nlb.webSecret" -}}
{{- if .Values.web.existingSecret -}}
{{- .Values.web.existingSecret -}}
{{- else if include "nlb.webConfig" . -}}
{{- printf "%s-web" (include "nlb.fullname" .) -}}
{{- end -}}
{{- end -}}

{{- /* The file's content; empty where nothing is configured. A certificate of tlsSecret is named, unless the values name one. */}}
{{- define "nlb.webConfig" -}}
{{- $config := deepCopy .Values.web.config -}}
{{- if .Values.web.tlsSecret -}}
{{- $tls := dict "cert_file" "/etc/eks-nlb-exporter-tls/tls.crt" "key_file" "/etc/eks-nlb-exporter-tls/tls.key" -}}
{{- $config = mergeOverwrite (dict "tls_server_config" $tls) $config -}}
{{- end -}}
{{- if and $config (not .Values.web.existingSecret) -}}
{{- toYaml $config -}}
{{- end -}}
{{- end -}}

{{- define "nlb.webCheck" -}}
{{- if .Values.web.existingSecret -}}
{{- if .Values.web.config -}}
{{- fail "web.config and web.existingSecret both say how the web side is protected: set one of them" -}}
{{- end -}}
{{- if not (and .Values.web.scheme .Values.web.probe) -}}
{{- fail "web.existingSecret needs web.scheme and web.probe: the chart cannot look into the Secret" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "nlb.scheme" -}}
{{- if .Values.web.scheme -}}
{{- .Values.web.scheme -}}
{{- else if (include "nlb.webConfig" . | fromYaml).tls_server_config -}}
https
{{- else -}}
http
{{- end -}}
{{- end -}}

{{- /* The kubelet has no certificate, and no password unless web.probeHeaders gives it one. */}}
{{- define "nlb.probe" -}}
{{- $config := include "nlb.webConfig" . | fromYaml -}}
{{- $tls := default dict $config.tls_server_config -}}
{{- if .Values.web.probe -}}
{{- .Values.web.probe -}}
{{- else if eq (default "" $tls.client_auth_type) "RequireAndVerifyClientCert" -}}
tcp
{{- else if and $config.basic_auth_users (not .Values.web.probeHeaders) -}}
tcp
{{- else -}}
http
{{- end -}}
{{- end -}}

{{- define "nlb.probeAction" -}}
{{- if eq (include "nlb.probe" .root) "tcp" -}}
tcpSocket:
  port: http-metrics
{{- else -}}
httpGet:
  path: {{ .path }}
  port: http-metrics
  {{- if eq (include "nlb.scheme" .root) "https" }}
  scheme: HTTPS
  {{- end }}
  {{- with .root.Values.web.probeHeaders }}
  httpHeaders:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
{{- end -}}

{{- /* What a monitor adds to its endpoint. */}}
{{- define "nlb.endpointAccess" -}}
{{- if eq (include "nlb.scheme" .root) "https" }}
scheme: https
{{- end }}
{{- with .monitor.tlsConfig }}
tlsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .monitor.basicAuth }}
basicAuth:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
