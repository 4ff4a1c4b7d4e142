"""The Autobahn Testsuite against our server and our client; `make autobahn`."""
