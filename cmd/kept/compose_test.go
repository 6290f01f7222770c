package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// compose is the part of docker-compose.yml that concerns us; merge keys are resolved by the reader.
type compose struct {
	Services map[string]struct {
		Image       string            `yaml:"image"`
		Build       string            `yaml:"build"`
		Command     []string          `yaml:"command"`
		Environment map[string]string `yaml:"environment"`
		Volumes     []string          `yaml:"volumes"`
		DependsOn   map[string]struct {
			Condition string `yaml:"condition"`
		} `yaml:"depends_on"`
		Healthcheck *struct {
			Test []string `yaml:"test"`
		} `yaml:"healthcheck"`
	} `yaml:"services"`
	Volumes map[string]any `yaml:"volumes"`
}

func readCompose(t *testing.T) compose {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "docker-compose.yml"))
	require.NoError(t, err)
	var c compose
	require.NoError(t, yaml.Unmarshal(content, &c))
	require.NotEmpty(t, c.Services)
	return c
}

var composeDefault = regexp.MustCompile(`\$\{(\w+)(?::?-([^}]*))?\}`)

func TestCompose_EveryEnvironment_IsOneOurBinaryAccepts(t *testing.T) {
	for name, service := range readCompose(t).Services {
		if service.Build == "" {
			continue
		}
		environment := map[string]string{}
		for key, value := range service.Environment {
			environment[key] = composeDefault.ReplaceAllString(value, "$2")
			known := strings.HasPrefix(key, "TEMPORAL_") || slices.Contains(configNames(), key)
			require.True(t, known, "%s: %s is not a variable kept reads", name, key)
		}
		_, err := parseConfig(environment, "DATABASE_URL", "KEPT_KEYS")
		require.NoError(t, err, name)
	}
}

func TestCompose_WhatIsWaitedForAndMounted_Exists(t *testing.T) {
	c := readCompose(t)
	for name, service := range c.Services {
		for other, wait := range service.DependsOn {
			require.Contains(t, c.Services, other, name)
			if wait.Condition == "service_healthy" {
				require.NotNil(t, c.Services[other].Healthcheck, "%s waits for the health of %s, which has no check", name, other)
			}
		}
		for _, mount := range service.Volumes {
			volume, _, _ := strings.Cut(mount, ":")
			require.Contains(t, c.Volumes, volume, name)
		}
	}
}
