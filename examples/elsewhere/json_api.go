// The same as ../json_api.rs.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"strconv"
	"sync"
	"time"
)

type User struct {
	Name string `json:"name"`
	Age  uint8  `json:"age"`
}

var (
	lock  sync.Mutex
	users []User
)

func create(w http.ResponseWriter, r *http.Request) {
	var user User
	body := http.MaxBytesReader(w, r.Body, 2<<20)
	if err := json.NewDecoder(body).Decode(&user); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	lock.Lock()
	defer lock.Unlock()
	users = append(users, user)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Location", fmt.Sprintf("/users/%d", len(users)-1))
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(user)
}

func find(w http.ResponseWriter, r *http.Request) {
	number, err := strconv.Atoi(r.PathValue("number"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	lock.Lock()
	defer lock.Unlock()
	if number < 0 || number >= len(users) {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(users[number])
}

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /users", create)
	mux.HandleFunc("GET /users/{number}", find)
	server := &http.Server{Addr: "127.0.0.1:3000", Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}
