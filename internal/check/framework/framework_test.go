package framework

import (
	"os"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/dom"
)

func TestFixtures(t *testing.T) {
	for name, want := range map[string]Framework{
		"nextjs": {"Next.js", Hydrates}, "vitepress": {"VitePress", Hydrates}, "discourse": {"Discourse", Draws},
		"request-tracker": {}, "zammad": {}, "osticket": {}, "redmine": {}, "contact-form-7": {}, "wpforms": {}, "zendesk": {}, "freshdesk": {},
	} {
		source, err := os.ReadFile("../testdata/" + name + ".html")
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := Of(dom.Parse(source)); got != want || ok != (want.Kind > 0) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

func TestSigns(t *testing.T) {
	for source, want := range map[string]Framework{
		`<div id="__next"></div><script id="__NEXT_DATA__" type="application/json">{}</script>`: {"Next.js", Hydrates},
		`<div id="__nuxt"></div>`:                                                                    {"Nuxt", Hydrates},
		`<div id="___gatsby"></div>`:                                                                 {"Gatsby", Hydrates},
		`<div id="__docusaurus"></div>`:                                                              {"Docusaurus", Hydrates},
		`<script>window.__reactRouterContext = {}</script>`:                                          {"React Router", Hydrates},
		`<script>__sveltekit_1ab2c = {}</script>`:                                                    {"SvelteKit", Hydrates},
		`<body data-sveltekit-preload-data="hover">`:                                                 {"SvelteKit", Hydrates},
		`<app-root ng-version="20.1.0"></app-root>`:                                                  {"Angular", Hydrates},
		`<html q:container="paused">`:                                                                {"Qwik", Hydrates},
		`<div id=app data-server-rendered="true">`:                                                   {"Vue", Hydrates},
		`<div data-reactroot="">`:                                                                    {"React", Hydrates},
		`<script>$RC("B:0","S:0")</script>`:                                                          {"React", Hydrates},
		`<div id="app" data-page="{&quot;component&quot;:&quot;Ticket&quot;}">`:                      {"Inertia", Hydrates},
		`<meta name="astro-view-transitions-enabled" content="true">`:                                {"Astro's client router", Navigates},
		`<link rel="stylesheet" data-turbo-track="reload" href="/a.css">`:                            {"Turbo", Navigates},
		`<script src="https://cdn.example/npm/@hotwired/turbo@8/dist/turbo.es2017-umd.js"></script>`: {"Turbo", Navigates},
		`<body hx-boost="true">`:                                                                     {"htmx's boost", Navigates},
		`<a up-follow="" href="/">`:                                                                  {"Unpoly", Navigates},
		`<div data-pjax-container>`:                                                                  {"pjax", Navigates},
		`<body hx-boost="true"><div id="__nuxt"></div>`:                                              {"Nuxt", Hydrates},
		`<meta name="acme/config/environment" content="%7B%7D">`:                                     {"Ember", Draws},
		`<a hx-boost="false">`:                                                                       {},
		`<p>Next.js, Nuxt and __next_f</p><script src="/app.js"></script>`:                           {},
		`<template><div id="__nuxt"></div></template>`:                                               {},
	} {
		if got, _ := Of(dom.Parse([]byte("<!doctype html>" + source))); got != want {
			t.Errorf("%s: %+v, want %+v", source, got, want)
		}
	}
}
