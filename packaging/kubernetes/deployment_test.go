// Package kubernetes has no code, but the check of deployment.yaml.
package kubernetes_test

import (
	"bytes"
	"maps"
	"os"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// The file is what Kubernetes' own types know, without an unknown field, and its
// objects refer to each other.
func TestDeployment(t *testing.T) {
	file, err := os.ReadFile("deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var (
		config     corev1.ConfigMap
		deployment appsv1.Deployment
		service    corev1.Service
	)
	parts := bytes.Split(file, []byte("\n---\n"))
	if len(parts) != 3 {
		t.Fatalf("%d objects", len(parts))
	}
	for i, object := range []any{&config, &deployment, &service} {
		if err := yaml.UnmarshalStrict(parts[i], object); err != nil {
			t.Fatal(err)
		}
	}
	kinds := [][2]string{
		{config.APIVersion, config.Kind}, {deployment.APIVersion, deployment.Kind}, {service.APIVersion, service.Kind},
	}
	if want := [][2]string{{"v1", "ConfigMap"}, {"apps/v1", "Deployment"}, {"v1", "Service"}}; !slices.Equal(kinds, want) {
		t.Errorf("got %v", kinds)
	}

	template := deployment.Spec.Template
	if !maps.Equal(deployment.Spec.Selector.MatchLabels, template.Labels) {
		t.Error("the Deployment does not select its pods")
	}
	if !labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(template.Labels)) {
		t.Error("the Service does not select the pods")
	}
	caddy := template.Spec.Containers[0]
	isPort := func(name string) bool {
		return slices.ContainsFunc(caddy.Ports, func(p corev1.ContainerPort) bool { return p.Name == name })
	}
	if !isPort(service.Spec.Ports[0].TargetPort.StrVal) || !isPort(caddy.ReadinessProbe.HTTPGet.Port.StrVal) {
		t.Error("a port is not the container's")
	}
	for _, mount := range caddy.VolumeMounts {
		if !slices.ContainsFunc(template.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name }) {
			t.Errorf("there is no volume %s", mount.Name)
		}
	}
	if name := template.Spec.Volumes[0].ConfigMap.Name; name != config.Name {
		t.Errorf("there is no ConfigMap %s", name)
	}
}
