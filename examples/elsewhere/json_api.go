// The same as ../json_api.rs.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/lib/pq"
)

const table = "create table if not exists users (name text primary key, age int not null)"

type User struct {
	Name string `json:"name"`
	Age  int32  `json:"age"`
}

var db *sql.DB

func fail(w http.ResponseWriter, err error) {
	log.Print(err)
	http.Error(w, "internal server error", http.StatusInternalServerError)
}

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(value)
}

func create(w http.ResponseWriter, r *http.Request) {
	var user User
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 2<<20)).Decode(&user); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, err := db.ExecContext(r.Context(), "insert into users (name, age) values ($1, $2)", user.Name, user.Age)
	var taken *pq.Error
	switch {
	case errors.As(err, &taken) && taken.Code.Name() == "unique_violation":
		http.Error(w, "the name is taken", http.StatusConflict)
	case err != nil:
		fail(w, err)
	default:
		answer(w, http.StatusCreated, user)
	}
}

func find(w http.ResponseWriter, r *http.Request) {
	var user User
	row := db.QueryRowContext(r.Context(), "select name, age from users where name = $1", r.PathValue("name"))
	switch err := row.Scan(&user.Name, &user.Age); {
	case errors.Is(err, sql.ErrNoRows):
		http.NotFound(w, r)
	case err != nil:
		fail(w, err)
	default:
		answer(w, http.StatusOK, user)
	}
}

func list(w http.ResponseWriter, r *http.Request) {
	rows, err := db.QueryContext(r.Context(), "select name, age from users order by name limit 100")
	if err != nil {
		fail(w, err)
		return
	}
	defer rows.Close()
	users := []User{}
	for rows.Next() {
		var user User
		if err := rows.Scan(&user.Name, &user.Age); err != nil {
			fail(w, err)
			return
		}
		users = append(users, user)
	}
	if err := rows.Err(); err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusOK, users)
}

func sleep(w http.ResponseWriter, r *http.Request) {
	if _, err := db.ExecContext(r.Context(), "select pg_sleep(30)"); err != nil {
		fail(w, err)
		return
	}
	w.Write([]byte("awake\n"))
}

func main() {
	url := os.Getenv("DATABASE_URL")
	if url == "" {
		url = "postgres://postgres@127.0.0.1/postgres?sslmode=disable"
	}
	var err error
	if db, err = sql.Open("postgres", url); err != nil {
		log.Fatal(err)
	}
	db.SetMaxOpenConns(50)
	if _, err := db.Exec(table); err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /users", create)
	mux.HandleFunc("GET /users", list)
	mux.HandleFunc("GET /users/{name}", find)
	mux.HandleFunc("GET /sleep", sleep)
	server := &http.Server{Addr: "127.0.0.1:3000", Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		server.Shutdown(context.Background())
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}
