// A socket.io server that passes messages on, for the row that puts our memory beside its.
import { createServer } from "node:http";
import { Server } from "socket.io";

const http = createServer();
const io = new Server(http, { transports: ["websocket"], serveClient: false });
const sockets = [];
io.on("connection", (socket) => {
  sockets.push(socket);
  socket.on("message", (to, text, acknowledge) => {
    sockets[to % sockets.length].emit("message", text);
    acknowledge?.();
  });
  socket.on("disconnect", () => {
    sockets.splice(sockets.indexOf(socket), 1);
  });
});
http.listen(Number(process.argv[2]), "127.0.0.1", () => console.log("ready"));
